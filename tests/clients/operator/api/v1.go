// SPDX-License-Identifier: Apache-2.0

// Package api has the operator's kind in two versions: v1, which is stored, and v2, which names the same field anew.
package api

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/conversion"
)

var (
	V1 = schema.GroupVersion{Group: "toys.example.com", Version: "v1"}
	V2 = schema.GroupVersion{Group: "toys.example.com", Version: "v2"}
)

type WidgetSpec struct {
	Size  int64  `json:"size,omitempty"`
	Color string `json:"color,omitempty"`
}

type WidgetStatus struct {
	Ready              bool  `json:"ready,omitempty"`
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
}

type Widget struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              WidgetSpec   `json:"spec,omitempty"`
	Status            WidgetStatus `json:"status,omitempty"`
}

type WidgetList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Widget `json:"items"`
}

func (*Widget) Hub() {}

func (w *Widget) DeepCopyObject() runtime.Object {
	out := *w
	out.ObjectMeta = *w.ObjectMeta.DeepCopy()
	return &out
}

func (l *WidgetList) DeepCopyObject() runtime.Object {
	out := *l
	out.Items = make([]Widget, len(l.Items))
	for i := range l.Items {
		out.Items[i] = *l.Items[i].DeepCopyObject().(*Widget)
	}
	return &out
}

type WidgetV2Spec struct {
	Extent int64  `json:"extent,omitempty"`
	Color  string `json:"color,omitempty"`
}

type WidgetV2 struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              WidgetV2Spec `json:"spec,omitempty"`
	Status            WidgetStatus `json:"status,omitempty"`
}

func (w *WidgetV2) DeepCopyObject() runtime.Object {
	out := *w
	out.ObjectMeta = *w.ObjectMeta.DeepCopy()
	return &out
}

func (w *WidgetV2) ConvertTo(hub conversion.Hub) error {
	to := hub.(*Widget)
	to.ObjectMeta, to.Status = w.ObjectMeta, w.Status
	to.Spec = WidgetSpec{Size: w.Spec.Extent, Color: w.Spec.Color}
	return nil
}

func (w *WidgetV2) ConvertFrom(hub conversion.Hub) error {
	from := hub.(*Widget)
	w.ObjectMeta, w.Status = from.ObjectMeta, from.Status
	w.Spec = WidgetV2Spec{Extent: from.Spec.Size, Color: from.Spec.Color}
	return nil
}

// AddToScheme registers both versions.
func AddToScheme(s *runtime.Scheme) error {
	s.AddKnownTypeWithName(V1.WithKind("Widget"), &Widget{})
	s.AddKnownTypeWithName(V1.WithKind("WidgetList"), &WidgetList{})
	s.AddKnownTypeWithName(V2.WithKind("Widget"), &WidgetV2{})
	metav1.AddToGroupVersion(s, V1)
	metav1.AddToGroupVersion(s, V2)
	return nil
}
