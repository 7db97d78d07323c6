package main

import (
	"context"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	newevents "k8s.io/client-go/tools/events"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/client-go/tools/record"
)

// candidate runs for leader until `stop`; `leads` is closed once it does lead, `ended` once it has stopped.
type candidate struct {
	leads, ended chan struct{}
	stop         context.CancelFunc
}

func runFor(s *session, identity string) candidate {
	lock, err := resourcelock.New(resourcelock.LeasesResourceLock, namespace, "the-leader", s.typed.CoreV1(),
		s.typed.CoordinationV1(), resourcelock.ResourceLockConfig{Identity: identity})
	must(err)
	ctx, stop := context.WithCancel(s.ctx)
	c := candidate{leads: make(chan struct{}), ended: make(chan struct{}), stop: stop}
	go leaderelection.RunOrDie(ctx, leaderelection.LeaderElectionConfig{
		Lock: lock, Name: identity, ReleaseOnCancel: true,
		LeaseDuration: 20 * time.Second, RenewDeadline: 15 * time.Second, RetryPeriod: time.Second,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(context.Context) { close(c.leads) },
			OnStoppedLeading: func() { close(c.ended) },
		},
	})
	return c
}

func await(what string, done <-chan struct{}) {
	select {
	case <-done:
	case <-time.After(patience):
		fail("waited in vain for %s", what)
	}
}

// awaitRenewal returns just after a leader has renewed its lease. One that is stopped within a renewal breaks off the
// request, which the server may still carry out: the lease has changed then, and the leader cannot give it up.
func awaitRenewal(s *session, identity string) {
	changes, err := s.typed.CoordinationV1().Leases(namespace).Watch(s.ctx, metav1.ListOptions{
		FieldSelector: "metadata.name=the-leader",
	})
	must(err)
	defer changes.Stop()
	enough := time.After(patience)
	for {
		select {
		case change := <-changes.ResultChan():
			lease, ok := change.Object.(*coordinationv1.Lease)
			if !ok {
				fail("the watch of leases said %v", change)
			}
			spec := lease.Spec
			if *spec.HolderIdentity == identity && spec.RenewTime.After(spec.AcquireTime.Time) {
				return
			}
		case <-enough:
			fail("the leader %s did not renew its lease", identity)
		}
	}
}

// leaderElection hands a lease from one candidate to the next.
func leaderElection(s *session) {
	first := runFor(s, "first")
	await("the first leader", first.leads)
	second := runFor(s, "second")
	sayLease(s)
	select {
	case <-second.leads:
		fail("there are two leaders")
	default:
	}
	awaitRenewal(s, "first")
	first.stop()
	await("the end of the first leader", first.ended)
	await("the second leader", second.leads)
	sayLease(s)
	awaitRenewal(s, "second")
	second.stop()
	await("the end of the second leader", second.ended)
	sayLease(s)
}

func sayLease(s *session) {
	lease, err := s.typed.CoordinationV1().Leases(namespace).Get(s.ctx, "the-leader", metav1.GetOptions{})
	must(err)
	say(seen{"holder": *lease.Spec.HolderIdentity, "transitions": *lease.Spec.LeaseTransitions})
}

// events records the same thing twice in each API: the server gets one event, and then a patch of it.
func events(s *session) {
	early, err := s.typed.CoreV1().ConfigMaps(namespace).Get(s.ctx, "early", metav1.GetOptions{})
	must(err)

	legacy := record.NewBroadcaster(record.WithContext(s.ctx))
	defer legacy.Shutdown()
	legacy.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: s.typed.CoreV1().Events("")})
	old := legacy.NewRecorder(scheme.Scheme, corev1.EventSource{Component: manager})
	stored := watchEvents(s, "Counted")
	for range 2 {
		old.Event(early, corev1.EventTypeNormal, "Counted", "the same again")
		found := next(stored)
		say(seen{"count": found.Count, "from": found.Source.Component, "message": found.Message})
	}

	modern := newevents.NewBroadcaster(&newevents.EventSinkImpl{Interface: s.typed.EventsV1()})
	defer modern.Shutdown()
	must(modern.StartRecordingToSinkWithContext(s.ctx))
	recorder := modern.NewRecorder(scheme.Scheme, "example.com/"+manager)
	stored = watchEvents(s, "Repeated")
	for range 2 {
		recorder.Eventf(early, nil, corev1.EventTypeWarning, "Repeated", "Counting", "seen %s", "again")
		found := next(stored)
		series := int32(0)
		if found.Series != nil {
			series = found.Series.Count
		}
		say(seen{"series": series, "controller": found.ReportingController, "message": found.Message})
	}
	both, err := s.typed.EventsV1().Events(namespace).List(s.ctx, metav1.ListOptions{FieldSelector: "type=Warning"})
	must(err)
	for _, found := range both.Items {
		say(seen{"regarding": found.Regarding.Name, "action": found.Action, "note": found.Note})
	}
}

// watchEvents tells of the events with this reason, in the old API's form.
func watchEvents(s *session, reason string) watch.Interface {
	found, err := s.typed.CoreV1().Events(namespace).Watch(s.ctx, metav1.ListOptions{
		FieldSelector: "involvedObject.name=early,reason=" + reason,
	})
	must(err)
	return found
}

func next(stored watch.Interface) *corev1.Event {
	select {
	case change := <-stored.ResultChan():
		if found, ok := change.Object.(*corev1.Event); ok {
			return found
		}
		fail("the watch of events said %v", change)
	case <-time.After(patience):
		fail("no event was stored")
	}
	return nil
}
