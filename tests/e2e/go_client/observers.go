package main

import (
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
)

// An observer hands on, one after the other, what the handlers of one informer were told.
type observer struct {
	name   string
	told   chan string
	before map[string]string
	detail func(object any) string
}

// observers are those of the typed informers.
type observers struct {
	factory                     informers.SharedInformerFactory
	configMaps, pods, workloads *observer
}

func newObserver(name string, detail func(any) string) *observer {
	return &observer{name: name, told: make(chan string, 1000), before: map[string]string{}, detail: detail}
}

func (o *observer) add(informer cache.SharedIndexInformer) {
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerDetailedFuncs{
		AddFunc: func(object any, initial bool) {
			word := "added"
			if initial {
				word = "found"
			}
			o.tell(word, object)
		},
		UpdateFunc: func(_, object any) { o.tell("updated", object) },
		DeleteFunc: func(object any) { o.tell("deleted", object) },
	})
	must(err)
}

// tell skips updates that change nothing of what is looked at (a controller's work on the status, say).
func (o *observer) tell(word string, object any) {
	if _, lost := object.(cache.DeletedFinalStateUnknown); lost {
		o.told <- "the informer missed a deletion"
		return
	}
	found, err := meta.Accessor(object)
	must(err)
	detail := o.detail(object)
	if word == "updated" && o.before[found.GetName()] == detail {
		return
	}
	o.before[found.GetName()] = detail
	o.told <- fmt.Sprintf("%s %s %s", word, found.GetName(), detail)
}

// expect prints the next `count` things that the informer was told.
func (o *observer) expect(count int) {
	lines := []string{}
	for range count {
		select {
		case line := <-o.told:
			lines = append(lines, line)
		case <-time.After(patience):
			fail("the informer of %s was told only %q", o.name, lines)
		}
	}
	say(seen{"informer": o.name, "told": lines})
}

// silent fails when there is something that no step has expected.
func (o *observer) silent() {
	select {
	case line := <-o.told:
		fail("the informer of %s was also told %q", o.name, line)
	default:
	}
}

// startInformers begins with an object of each kind there already, so that the initial list is not empty.
func startInformers(s *session) {
	_, err := s.typed.CoreV1().ConfigMaps(namespace).Create(s.ctx, configMap("early", "1"), metav1.CreateOptions{})
	must(err)
	factory := informers.NewSharedInformerFactoryWithOptions(s.typed, 0, informers.WithNamespace(namespace),
		informers.WithTweakListOptions(func(options *metav1.ListOptions) { options.LabelSelector = "part-of=test" }))
	s.observers = &observers{
		factory:    factory,
		configMaps: newObserver("configmaps", dataOf),
		pods:       newObserver("pods", phaseOf),
		workloads:  newObserver("deployments", specOf),
	}
	s.observers.configMaps.add(factory.Core().V1().ConfigMaps().Informer())
	s.observers.pods.add(factory.Core().V1().Pods().Informer())
	s.observers.workloads.add(factory.Apps().V1().Deployments().Informer())
	factory.StartWithContext(s.ctx)
	for kind, synced := range factory.WaitForCacheSync(s.ctx.Done()) {
		if !synced {
			fail("the informer of %v has not synced", kind)
		}
	}
	s.observers.configMaps.expect(1)
}

func specOf(object any) string {
	found := object.(*appsv1.Deployment)
	detail := fmt.Sprintf("generation=%d replicas=%d", found.Generation, *found.Spec.Replicas)
	if found.DeletionTimestamp != nil {
		detail += fmt.Sprintf(" deleting=%v", found.Finalizers)
	}
	return detail
}

// listers reads from the caches what is left, which asks nothing of the server, and sees that no informer was told more.
func listers(s *session) {
	before := s.wire.requests()
	maps, err := s.observers.factory.Core().V1().ConfigMaps().Lister().ConfigMaps(namespace).List(labels.Everything())
	must(err)
	names := []string{}
	for _, found := range maps {
		names = append(names, found.Name)
	}
	early, err := s.observers.factory.Core().V1().ConfigMaps().Lister().ConfigMaps(namespace).Get("early")
	must(err)
	workloads, err := s.observers.factory.Apps().V1().Deployments().Lister().List(labels.Everything())
	must(err)
	say(seen{
		"configmaps": names, "early": dataOf(early), "deployments": len(workloads),
		"requests": s.wire.requests() - before,
	})
	for _, each := range []*observer{s.observers.configMaps, s.observers.pods, s.observers.workloads} {
		each.silent()
	}
}
