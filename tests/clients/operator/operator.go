// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"

	"caisson.dev/tests/clients/operator/api"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	metrics "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

const finalizer = "toys.example.com/cleanup"

// reconciler keeps a ConfigMap for each Widget and says so in its status; the finalizer leaves a mark before it lets go.
type reconciler struct{ client.Client }

func (r *reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	var widget api.Widget
	if err := r.Get(ctx, req.NamespacedName, &widget); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !widget.DeletionTimestamp.IsZero() {
		mark := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: widget.Name + "-gone", Namespace: widget.Namespace}}
		if _, err := controllerutil.CreateOrUpdate(ctx, r.Client, mark, func() error { return nil }); err != nil {
			return ctrl.Result{}, err
		}
		controllerutil.RemoveFinalizer(&widget, finalizer)
		return ctrl.Result{}, client.IgnoreNotFound(r.Update(ctx, &widget))
	}
	if controllerutil.AddFinalizer(&widget, finalizer) {
		return ctrl.Result{}, r.Update(ctx, &widget)
	}
	child := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: widget.Name, Namespace: widget.Namespace}}
	_, err := controllerutil.CreateOrUpdate(ctx, r.Client, child, func() error {
		child.Data = map[string]string{"size": fmt.Sprint(widget.Spec.Size)}
		return controllerutil.SetControllerReference(&widget, child, r.Scheme())
	})
	if err != nil {
		return ctrl.Result{}, err
	}
	if widget.Status.Ready && widget.Status.ObservedGeneration == widget.Generation {
		return ctrl.Result{}, nil
	}
	widget.Status = api.WidgetStatus{Ready: true, ObservedGeneration: widget.Generation}
	return ctrl.Result{}, r.Status().Update(ctx, &widget)
}

type defaulter struct{}

func (defaulter) Default(_ context.Context, obj runtime.Object) error {
	if w := obj.(*api.Widget); w.Spec.Color == "" {
		w.Spec.Color = "green"
	}
	return nil
}

type validator struct{}

func check(obj runtime.Object) (admission.Warnings, error) {
	if w := obj.(*api.Widget); w.Spec.Size > 100 {
		return nil, fmt.Errorf("a size of %d is too much", w.Spec.Size)
	}
	return admission.Warnings{"widgets are toys"}, nil
}
func (validator) ValidateCreate(_ context.Context, obj runtime.Object) (admission.Warnings, error) {
	return check(obj)
}
func (validator) ValidateUpdate(_ context.Context, _, obj runtime.Object) (admission.Warnings, error) {
	return check(obj)
}
func (validator) ValidateDelete(context.Context, runtime.Object) (admission.Warnings, error) {
	return nil, nil
}

// newManager is the operator: leader election, a controller that owns ConfigMaps, and the three kinds of webhooks.
func newManager(config *rest.Config, scheme *runtime.Scheme, port int, certificates string) (ctrl.Manager, error) {
	manager, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:                  scheme,
		Metrics:                 metrics.Options{BindAddress: "0"},
		LeaderElection:          true,
		LeaderElectionID:        "widgets.toys.example.com",
		LeaderElectionNamespace: "default",
		WebhookServer:           webhook.NewServer(webhook.Options{Host: "127.0.0.1", Port: port, CertDir: certificates}),
	})
	if err != nil {
		return nil, err
	}
	err = ctrl.NewControllerManagedBy(manager).For(&api.Widget{}).Owns(&corev1.ConfigMap{}).Complete(&reconciler{manager.GetClient()})
	if err != nil {
		return nil, err
	}
	return manager, ctrl.NewWebhookManagedBy(manager).For(&api.Widget{}).WithDefaulter(defaulter{}).WithValidator(validator{}).Complete()
}
