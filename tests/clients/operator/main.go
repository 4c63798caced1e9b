// SPDX-License-Identifier: Apache-2.0

// Command operator is a client that others could have written: an operator of controller-runtime with a definition in two
// versions, admission and conversion webhooks and a finalizer, and what client-go does beside it: informers, patches of all
// kinds and a watch through a restart of the server.
// usage: operator APISERVER_DEV   (the test server, which it starts, restarts and ends)
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"caisson.dev/tests/clients/operator/api"
	"github.com/go-logr/logr"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	extensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	applycore "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const patience = 60 * time.Second

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func step(name string, check func() error) {
	started := time.Now()
	if err := check(); err != nil {
		panic(fmt.Errorf("%s: %w", name, err))
	}
	fmt.Printf("ok   %-70s %6.0f ms\n", name, float64(time.Since(started).Microseconds())/1000)
}

func eventually(check func() error) error {
	var last error
	err := wait.PollUntilContextTimeout(context.Background(), 20*time.Millisecond, patience, true, func(context.Context) (bool, error) {
		last = check()
		return last == nil, nil
	})
	return errors.Join(err, last)
}

// server is the test server on a port of its own, kept over restarts.
type server struct {
	program, directory string
	port               int
	process            *exec.Cmd
}

func freePort() int {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

func (s *server) start() {
	_ = os.Remove(filepath.Join(s.directory, "port"))
	s.process = exec.Command(s.program, s.directory, fmt.Sprint(s.port), "--controllers")
	s.process.Stderr, _ = os.OpenFile(filepath.Join(s.directory, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	must(s.process.Start())
	must(eventually(func() error {
		_, err := os.Stat(filepath.Join(s.directory, "port"))
		return err
	}))
}

func (s *server) end(signal syscall.Signal) {
	_ = s.process.Process.Signal(signal)
	_ = s.process.Wait()
}

func (s *server) config() *rest.Config {
	config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(s.directory, "kubeconfig"))
	must(err)
	config.QPS, config.Burst = 1000, 1000
	return config
}

// certificates writes tls.crt and tls.key for 127.0.0.1 and gives what a caBundle holds.
func certificates(directory string) []byte {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "operator"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(err)
	private, err := x509.MarshalECPrivateKey(key)
	must(err)
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	must(os.WriteFile(filepath.Join(directory, "tls.crt"), certificate, 0o600))
	must(os.WriteFile(filepath.Join(directory, "tls.key"), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: private}), 0o600))
	return certificate
}

func object(properties map[string]extensions.JSONSchemaProps) extensions.JSONSchemaProps {
	return extensions.JSONSchemaProps{Type: "object", Properties: properties}
}

func definition(port int, bundle []byte) *extensions.CustomResourceDefinition {
	integer, text := extensions.JSONSchemaProps{Type: "integer"}, extensions.JSONSchemaProps{Type: "string"}
	status := object(map[string]extensions.JSONSchemaProps{"ready": {Type: "boolean"}, "observedGeneration": integer})
	version := func(name, field string, storage bool) extensions.CustomResourceDefinitionVersion {
		schema := object(map[string]extensions.JSONSchemaProps{
			"spec": object(map[string]extensions.JSONSchemaProps{field: integer, "color": text}), "status": status})
		return extensions.CustomResourceDefinitionVersion{Name: name, Served: true, Storage: storage,
			Schema:       &extensions.CustomResourceValidation{OpenAPIV3Schema: &schema},
			Subresources: &extensions.CustomResourceSubresources{Status: &extensions.CustomResourceSubresourceStatus{}}}
	}
	url := fmt.Sprintf("https://127.0.0.1:%d/convert", port)
	return &extensions.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: "widgets.toys.example.com"},
		Spec: extensions.CustomResourceDefinitionSpec{
			Group: api.V1.Group, Scope: extensions.NamespaceScoped,
			Names:    extensions.CustomResourceDefinitionNames{Plural: "widgets", Kind: "Widget"},
			Versions: []extensions.CustomResourceDefinitionVersion{version("v1", "size", true), version("v2", "extent", false)},
			Conversion: &extensions.CustomResourceConversion{Strategy: extensions.WebhookConverter,
				Webhook: &extensions.WebhookConversion{ConversionReviewVersions: []string{"v1"},
					ClientConfig: &extensions.WebhookClientConfig{URL: &url, CABundle: bundle}}}}}
}

func configurations(port int, bundle []byte) []client.Object {
	none, fail := admissionv1.SideEffectClassNone, admissionv1.Fail
	rules := []admissionv1.RuleWithOperations{{Operations: []admissionv1.OperationType{"CREATE", "UPDATE"},
		Rule: admissionv1.Rule{APIGroups: []string{api.V1.Group}, APIVersions: []string{"v1"}, Resources: []string{"widgets"}}}}
	at := func(what string) admissionv1.WebhookClientConfig {
		url := fmt.Sprintf("https://127.0.0.1:%d/%s-toys-example-com-v1-widget", port, what)
		return admissionv1.WebhookClientConfig{URL: &url, CABundle: bundle}
	}
	meta := metav1.ObjectMeta{Name: "widgets"}
	return []client.Object{
		&admissionv1.MutatingWebhookConfiguration{ObjectMeta: meta, Webhooks: []admissionv1.MutatingWebhook{{
			Name: "default.toys.example.com", ClientConfig: at("mutate"), Rules: rules, SideEffects: &none, FailurePolicy: &fail,
			AdmissionReviewVersions: []string{"v1"}}}},
		&admissionv1.ValidatingWebhookConfiguration{ObjectMeta: meta, Webhooks: []admissionv1.ValidatingWebhook{{
			Name: "check.toys.example.com", ClientConfig: at("validate"), Rules: rules, SideEffects: &none, FailurePolicy: &fail,
			AdmissionReviewVersions: []string{"v1"}}}}}
}

// warnings collects what the server warned of.
type warnings struct {
	sync.Mutex
	texts []string
}

func (w *warnings) HandleWarningHeader(_ int, _ string, text string) {
	w.Lock()
	defer w.Unlock()
	w.texts = append(w.texts, text)
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: operator APISERVER_DEV")
		os.Exit(2)
	}
	directory, err := os.MkdirTemp("", "operator")
	must(err)
	defer os.RemoveAll(directory)
	s := &server{program: os.Args[1], directory: directory, port: freePort()}
	s.start()
	defer func() { s.end(syscall.SIGTERM) }()
	ctrl.SetLogger(logr.Discard())
	scheme := runtime.NewScheme()
	must(clientscheme.AddToScheme(scheme))
	must(extensions.AddToScheme(scheme))
	must(api.AddToScheme(scheme))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	operator(ctx, s, scheme)
	clientGo(ctx, s)
}

func operator(ctx context.Context, s *server, scheme *runtime.Scheme) {
	port := freePort()
	bundle := certificates(s.directory)
	config := s.config()
	seen := &warnings{}
	config.WarningHandler = seen
	c, err := client.New(config, client.Options{Scheme: scheme})
	must(err)
	step("the definition is established", func() error {
		must(c.Create(ctx, definition(port, bundle)))
		return eventually(func() error {
			var crd extensions.CustomResourceDefinition
			must(c.Get(ctx, types.NamespacedName{Name: "widgets.toys.example.com"}, &crd))
			for _, condition := range crd.Status.Conditions {
				if condition.Type == extensions.Established && condition.Status == extensions.ConditionTrue {
					return nil
				}
			}
			return errors.New("not established")
		})
	})
	manager, err := newManager(s.config(), scheme, port, s.directory)
	must(err)
	go func() {
		if err := manager.Start(ctx); err != nil && ctx.Err() == nil {
			panic(err)
		}
	}()
	step("the operator is elected and its webhooks answer", func() error {
		<-manager.Elected()
		return eventually(func() error { return manager.GetWebhookServer().StartedChecker()(nil) })
	})
	for _, configuration := range configurations(port, bundle) {
		must(c.Create(ctx, configuration))
	}
	key := types.NamespacedName{Namespace: "default", Name: "w"}
	var widget api.Widget
	step("the mutating webhook fills in a default, the validating one warns", func() error {
		widget = api.Widget{ObjectMeta: metav1.ObjectMeta{Name: key.Name, Namespace: key.Namespace}, Spec: api.WidgetSpec{Size: 3}}
		if err := c.Create(ctx, &widget); err != nil {
			return err
		}
		if widget.Spec.Color != "green" {
			return fmt.Errorf("color is %q", widget.Spec.Color)
		}
		if strings.Join(seen.texts, ";") != "widgets are toys" {
			return fmt.Errorf("warnings: %v", seen.texts)
		}
		return nil
	})
	step("the validating webhook refuses what is too much", func() error {
		err := c.Create(ctx, &api.Widget{ObjectMeta: metav1.ObjectMeta{Name: "x", Namespace: "default"}, Spec: api.WidgetSpec{Size: 101}})
		if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), `admission webhook "check.toys.example.com" denied the request: a size of 101 is too much`) {
			return fmt.Errorf("got %v", err)
		}
		return nil
	})
	step("the controller makes the child, adds its finalizer and writes status", func() error {
		return eventually(func() error {
			var child corev1.ConfigMap
			if err := c.Get(ctx, key, &child); err != nil {
				return err
			}
			if err := c.Get(ctx, key, &widget); err != nil {
				return err
			}
			if child.Data["size"] != "3" || !widget.Status.Ready || len(widget.Finalizers) != 1 {
				return fmt.Errorf("child %v, widget %v", child.Data, widget)
			}
			return nil
		})
	})
	step("the conversion webhook shows and takes the other version", func() error {
		var other api.WidgetV2
		if err := c.Get(ctx, key, &other); err != nil {
			return err
		}
		if other.Spec.Extent != 3 {
			return fmt.Errorf("extent is %d", other.Spec.Extent)
		}
		if err := c.Patch(ctx, &other, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"extent":4}}`))); err != nil {
			return err
		}
		return eventually(func() error {
			var child corev1.ConfigMap
			if err := c.Get(ctx, key, &child); err != nil || child.Data["size"] != "4" {
				return fmt.Errorf("child %v, %v", child.Data, err)
			}
			return nil
		})
	})
	step("the finalizer acts before the object goes, and its child goes with it", func() error {
		if err := c.Delete(ctx, &widget); err != nil {
			return err
		}
		return eventually(func() error {
			var left api.Widget
			var child, mark corev1.ConfigMap
			if err := c.Get(ctx, types.NamespacedName{Namespace: "default", Name: "w-gone"}, &mark); err != nil {
				return err
			}
			if err := c.Get(ctx, key, &left); !apierrors.IsNotFound(err) {
				return fmt.Errorf("the widget remains: %v", err)
			}
			if err := c.Get(ctx, key, &child); !apierrors.IsNotFound(err) {
				return fmt.Errorf("the child remains: %v", err)
			}
			return nil
		})
	})
}

func clientGo(ctx context.Context, s *server) {
	k := kubernetes.NewForConfigOrDie(s.config())
	maps := k.CoreV1().ConfigMaps("default")
	step("patches of all kinds and server-side apply", func() error {
		if _, err := maps.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "p"}, Data: map[string]string{"a": "1"}}, metav1.CreateOptions{}); err != nil {
			return err
		}
		for kind, patch := range map[types.PatchType]string{
			types.JSONPatchType:           `[{"op":"add","path":"/data/json","value":"1"}]`,
			types.MergePatchType:          `{"data":{"merge":"1"}}`,
			types.StrategicMergePatchType: `{"data":{"strategic":"1"}}`} {
			if _, err := maps.Patch(ctx, "p", kind, []byte(patch), metav1.PatchOptions{}); err != nil {
				return err
			}
		}
		apply := applycore.ConfigMap("p", "default").WithData(map[string]string{"a": "2"})
		if _, err := maps.Apply(ctx, apply, metav1.ApplyOptions{FieldManager: "other"}); !apierrors.IsConflict(err) {
			return fmt.Errorf("apply without force: %v", err)
		}
		applied, err := maps.Apply(ctx, apply, metav1.ApplyOptions{FieldManager: "other", Force: true})
		if err != nil || len(applied.Data) != 4 || applied.Data["a"] != "2" {
			return fmt.Errorf("applied %v, %v", applied.Data, err)
		}
		return nil
	})
	factory := informers.NewSharedInformerFactory(k, 0)
	informer := factory.Core().V1().ConfigMaps()
	names := make(chan string, 1000)
	_, err := informer.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(obj any) { names <- obj.(*corev1.ConfigMap).Name }})
	must(err)
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	step("an informer goes on through a kill of the server, and sees what came after it", func() error {
		s.end(syscall.SIGKILL)
		s.start()
		again := kubernetes.NewForConfigOrDie(s.config())
		if _, err := again.CoreV1().ConfigMaps("default").Get(ctx, "p", metav1.GetOptions{}); err != nil {
			return fmt.Errorf("what was acknowledged before the kill: %w", err)
		}
		_, err := again.CoreV1().ConfigMaps("default").Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "late"}}, metav1.CreateOptions{})
		if err != nil {
			return err
		}
		deadline := time.After(patience)
		for {
			select {
			case name := <-names:
				if name == "late" {
					return nil
				}
			case <-deadline:
				return errors.New("the informer did not see it")
			}
		}
	})
}
