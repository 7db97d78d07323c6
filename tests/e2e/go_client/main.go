// A controller's day with client-go: typed clients that speak protobuf, informers, apply, leader election, events and
// a dynamic client. It prints one JSON line for each thing that it saw, in an order that does not depend on chance,
// and ends with what went over the wire. Any surprise ends it with exit code 1.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
)

const (
	namespace = "go-client"
	manager   = "go-client"
	patience  = 30 * time.Second
)

// session is what the steps share.
type session struct {
	ctx       context.Context
	config    *rest.Config
	typed     kubernetes.Interface
	discovery discovery.DiscoveryInterface
	dynamic   dynamic.Interface
	metadata  metadata.Interface
	wire      *wire
	warnings  *warnings
	observers *observers
}

// seen is one line of the output.
type seen map[string]any

func main() {
	klog.InitFlags(nil)
	kubeconfig := flag.String("kubeconfig", "", "the file that says where the server is")
	accept := flag.String("accept", "", "the media types that typed clients take answers in; empty: client-go's own choice")
	flag.Parse()
	ctx, stop := context.WithTimeout(context.Background(), 2*time.Minute)
	defer stop()
	s := connect(ctx, *kubeconfig, *accept)
	for _, step := range []struct {
		name string
		run  func(*session)
	}{
		{"discovery", discoverKinds},
		{"informers", startInformers},
		{"configmaps", configMaps},
		{"apply", serverSideApply},
		{"collection", collection},
		{"pods", pods},
		{"deployments", deployments},
		{"reviews", reviews},
		{"leader", leaderElection},
		{"events", events},
		{"custom", customResources},
		{"listers", listers},
	} {
		current = step.name
		step.run(s)
	}
	current = "end"
	say(seen{"warnings": s.warnings.texts()})
	say(seen{"wire": s.wire.summary()})
}

func connect(ctx context.Context, kubeconfig, accept string) *session {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	must(err)
	s := &session{ctx: ctx, config: config, wire: newWire(), warnings: &warnings{}}
	config.QPS = -1
	config.UserAgent = manager
	config.WarningHandlerWithContext = s.warnings
	config.Wrap(s.wire.wrap)
	protobuf := rest.CopyConfig(config)
	protobuf.ContentType = runtime.ContentTypeProtobuf
	protobuf.AcceptContentTypes = accept
	s.typed, err = kubernetes.NewForConfig(protobuf)
	must(err)
	s.discovery, err = discovery.NewDiscoveryClientForConfig(config)
	must(err)
	s.dynamic, err = dynamic.NewForConfig(config)
	must(err)
	s.metadata, err = metadata.NewForConfig(config)
	must(err)
	made, err := s.typed.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{Name: namespace},
	}, metav1.CreateOptions{})
	must(err)
	say(seen{"namespace": made.Name, "phase": made.Status.Phase})
	return s
}

var current = "connect"

func say(what seen) {
	what["step"] = current
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetEscapeHTML(false)
	must(encoder.Encode(what))
}

func must(err error) {
	if err != nil {
		fail("%v", err)
	}
}

func fail(format string, words ...any) {
	fmt.Fprintf(os.Stderr, "step %s: %s\n", current, fmt.Sprintf(format, words...))
	os.Exit(1)
}
