package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	applyappsv1 "k8s.io/client-go/applyconfigurations/apps/v1"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/pager"
	"k8s.io/client-go/util/retry"
	"k8s.io/utils/ptr"
)

var inTest = map[string]string{"part-of": "test"}

func configMap(name, value string) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: inTest},
		Data:       map[string]string{"word": value},
	}
}

func dataOf(object any) string { return pairs(object.(*corev1.ConfigMap).Data) }

func pairs(data map[string]string) string {
	texts := []string{}
	for _, key := range slices.Sorted(maps.Keys(data)) {
		texts = append(texts, key+"="+data[key])
	}
	return strings.Join(texts, " ")
}

func phaseOf(object any) string {
	pod := object.(*corev1.Pod)
	detail := string(pod.Status.Phase)
	for _, condition := range pod.Status.Conditions {
		detail += fmt.Sprintf(" %s=%s", condition.Type, condition.Status)
	}
	if pod.Spec.NodeName != "" {
		detail += " on " + pod.Spec.NodeName
	}
	return detail
}

// refusal is what a program can ask of an error.
func refusal(err error) seen {
	status, ok := err.(apierrors.APIStatus)
	if !ok {
		fail("expected to be refused, not %v", err)
	}
	found := status.Status()
	details := seen{}
	if found.Details != nil {
		details = seen{"kind": found.Details.Kind, "name": found.Details.Name, "group": found.Details.Group}
		causes := []string{}
		for _, cause := range found.Details.Causes {
			causes = append(causes, fmt.Sprintf("%s %s: %s", cause.Type, cause.Field, cause.Message))
		}
		details["causes"] = causes
	}
	return seen{"code": found.Code, "reason": found.Reason, "message": found.Message, "details": details}
}

func discoverKinds(s *session) {
	cached := memory.NewMemCacheClient(s.discovery)
	version, err := cached.ServerVersion()
	must(err)
	say(seen{"minor": version.Minor})
	mapper := restmapper.NewShortcutExpander(restmapper.NewDeferredDiscoveryRESTMapper(cached), cached, nil)
	for _, asked := range []string{"deploy", "cm", "pods", "customresourcedefinitions", "leases"} {
		found, err := mapper.KindFor(schema.GroupVersionResource{Resource: asked})
		must(err)
		mapping, err := mapper.RESTMapping(found.GroupKind(), found.Version)
		must(err)
		say(seen{"asked": asked, "kind": found.String(), "scope": mapping.Scope.Name()})
	}
	_, err = mapper.KindFor(schema.GroupVersionResource{Resource: "gadgets"})
	say(seen{"asked": "gadgets", "no match": meta.IsNoMatchError(err)})
	paths, err := s.discovery.OpenAPIV3().Paths()
	must(err)
	document, err := paths["apis/apps/v1"].Schema(runtime.ContentTypeJSON)
	must(err)
	var read struct{ OpenAPI string }
	must(json.Unmarshal(document, &read))
	say(seen{"openapi": read.OpenAPI})
}

func configMaps(s *session) {
	client := s.typed.CoreV1().ConfigMaps(namespace)
	made, err := client.Create(s.ctx, configMap("typed", "1"), metav1.CreateOptions{})
	must(err)
	s.observers.configMaps.expect(1)
	_, err = client.Create(s.ctx, configMap("typed", "1"), metav1.CreateOptions{})
	say(refusal(err))
	_, err = client.Create(s.ctx, configMap("Not A Name", "1"), metav1.CreateOptions{})
	say(refusal(err))

	changed := made.DeepCopy()
	changed.Data["word"] = "2"
	_, err = client.Update(s.ctx, changed, metav1.UpdateOptions{})
	must(err)
	s.observers.configMaps.expect(1)
	_, err = client.Update(s.ctx, changed, metav1.UpdateOptions{})
	say(refusal(err))
	attempts := 0
	must(retry.RetryOnConflict(retry.DefaultRetry, func() error {
		attempts++
		if attempts > 1 {
			if changed, err = client.Get(s.ctx, "typed", metav1.GetOptions{}); err != nil {
				return err
			}
		}
		changed.BinaryData = map[string][]byte{"bytes": {0, 255, 10}}
		changed, err = client.Update(s.ctx, changed, metav1.UpdateOptions{})
		return err
	}))
	say(seen{"attempts": attempts, "bytes": changed.BinaryData["bytes"], "word": changed.Data["word"]})

	_, err = client.Patch(s.ctx, "typed", types.JSONPatchType,
		[]byte(`[{"op": "test", "path": "/data/word", "value": "2"}, {"op": "remove", "path": "/binaryData"}]`),
		metav1.PatchOptions{})
	must(err)
	_, err = client.Patch(s.ctx, "typed", types.MergePatchType, []byte(`{"data": {"word": "3"}}`), metav1.PatchOptions{})
	must(err)
	_, err = client.Patch(s.ctx, "typed", types.StrategicMergePatchType, []byte(`{"data": {"other": "4"}}`),
		metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}})
	must(err)
	s.observers.configMaps.expect(1)

	foreign := types.UID("another")
	err = client.Delete(s.ctx, "typed", metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &foreign}})
	say(seen{"conflict": apierrors.IsConflict(err)})
	must(client.Delete(s.ctx, "typed", metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &made.UID}}))
	s.observers.configMaps.expect(1)
	_, err = client.Get(s.ctx, "typed", metav1.GetOptions{})
	say(refusal(err))
}

func serverSideApply(s *session) {
	client := s.typed.CoreV1().ConfigMaps(namespace)
	wanted := applycorev1.ConfigMap("applied", namespace).WithLabels(inTest).WithData(map[string]string{"a": "1"})
	applied, err := client.Apply(s.ctx, wanted, metav1.ApplyOptions{FieldManager: manager})
	must(err)
	s.observers.configMaps.expect(1)
	extracted, err := applycorev1.ExtractConfigMap(applied, manager)
	must(err)
	say(seen{"extracted": pairs(extracted.Data), "labels": pairs(extracted.Labels)})

	other := applycorev1.ConfigMap("applied", namespace).WithData(map[string]string{"a": "2", "b": "2"})
	_, err = client.Apply(s.ctx, other, metav1.ApplyOptions{FieldManager: "other"})
	say(refusal(err))
	forced, err := client.Apply(s.ctx, other, metav1.ApplyOptions{FieldManager: "other", Force: true})
	must(err)
	s.observers.configMaps.expect(1)
	managers := []string{}
	for _, entry := range forced.ManagedFields {
		managers = append(managers, fmt.Sprintf("%s %s %s", entry.Manager, entry.Operation, entry.FieldsV1.GetRawString()))
	}
	slices.Sort(managers)
	say(seen{"managers": managers})
	must(client.Delete(s.ctx, "applied", metav1.DeleteOptions{}))
	s.observers.configMaps.expect(1)
}

func collection(s *session) {
	client := s.typed.CoreV1().ConfigMaps(namespace)
	for _, name := range []string{"c1", "c2", "c3", "c4", "c5"} {
		_, err := client.Create(s.ctx, configMap(name, "x"), metav1.CreateOptions{})
		must(err)
	}
	s.observers.configMaps.expect(5)
	pages := []int{}
	lister := pager.New(func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
		page, err := client.List(ctx, options)
		if err == nil {
			pages = append(pages, len(page.Items))
		}
		return page, err
	})
	lister.PageSize = 2
	names := []string{}
	must(lister.EachListItem(s.ctx, metav1.ListOptions{LabelSelector: "part-of=test"}, func(object runtime.Object) error {
		names = append(names, object.(*corev1.ConfigMap).Name)
		return nil
	}))
	say(seen{"pages": pages, "names": names})
	must(client.DeleteCollection(s.ctx, metav1.DeleteOptions{}, metav1.ListOptions{
		LabelSelector: "part-of=test", FieldSelector: "metadata.name!=early",
	}))
	s.observers.configMaps.expect(5)
}

func pods(s *session) {
	client := s.typed.CoreV1().Pods(namespace)
	grace := int64(0)
	made, err := client.Create(s.ctx, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "pod-", Name: "pod", Labels: inTest},
		Spec: corev1.PodSpec{
			Containers:  []corev1.Container{{Name: "main", Image: "example/image:1"}},
			Tolerations: []corev1.Toleration{{Operator: corev1.TolerationOpExists}},
		},
	}, metav1.CreateOptions{})
	must(err)
	say(seen{
		"quality of service": made.Status.QOSClass, "pull policy": made.Spec.Containers[0].ImagePullPolicy,
		"account": made.Spec.ServiceAccountName, "grace": *made.Spec.TerminationGracePeriodSeconds,
	})
	s.observers.pods.expect(1)
	must(client.Bind(s.ctx, &corev1.Binding{
		ObjectMeta: metav1.ObjectMeta{Name: "pod"}, Target: corev1.ObjectReference{Kind: "Node", Name: "nowhere"},
	}, metav1.CreateOptions{}))
	s.observers.pods.expect(1)
	bound, err := client.Get(s.ctx, "pod", metav1.GetOptions{})
	must(err)
	bound.Status.Phase = corev1.PodRunning
	bound.Labels["by"] = "status"
	updated, err := client.UpdateStatus(s.ctx, bound, metav1.UpdateOptions{})
	must(err)
	say(seen{"phase": updated.Status.Phase, "labels": pairs(updated.Labels)})
	s.observers.pods.expect(1)
	status := applycorev1.Pod("pod", namespace).WithStatus(applycorev1.PodStatus().WithConditions(
		applycorev1.PodCondition().WithType("example.com/Checked").WithStatus(corev1.ConditionTrue)))
	_, err = client.ApplyStatus(s.ctx, status, metav1.ApplyOptions{FieldManager: manager})
	must(err)
	s.observers.pods.expect(1)
	found, err := client.List(s.ctx, metav1.ListOptions{FieldSelector: "spec.nodeName=nowhere,status.phase=Running"})
	must(err)
	say(seen{"on the node": len(found.Items)})
	updated.Spec.NodeName = "elsewhere"
	updated.ResourceVersion = ""
	_, err = client.Update(s.ctx, updated, metav1.UpdateOptions{})
	say(seen{"invalid": apierrors.IsInvalid(err)})
	must(client.Delete(s.ctx, "pod", metav1.DeleteOptions{GracePeriodSeconds: &grace}))
	s.observers.pods.expect(1)
}

func deployments(s *session) {
	client := s.typed.AppsV1().Deployments(namespace)
	template := corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "example/image:1"}}},
	}
	made, err := client.Create(s.ctx, &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Labels: inTest},
		Spec: appsv1.DeploymentSpec{
			Replicas: ptr.To[int32](0), Template: template,
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}},
		},
	}, metav1.CreateOptions{})
	must(err)
	say(seen{"strategy": made.Spec.Strategy.RollingUpdate, "history": *made.Spec.RevisionHistoryLimit})
	s.observers.workloads.expect(1)
	scale, err := client.GetScale(s.ctx, "web", metav1.GetOptions{})
	must(err)
	scale.Spec = autoscalingv1.ScaleSpec{Replicas: 1}
	scale.ResourceVersion = "" // whatever the controller has written to the status meanwhile
	scale, err = client.UpdateScale(s.ctx, "web", scale, metav1.UpdateOptions{})
	must(err)
	say(seen{"scaled": scale.Spec.Replicas, "selector": scale.Status.Selector})
	s.observers.workloads.expect(1)
	applied, err := client.Apply(s.ctx, applyappsv1.Deployment("web", namespace).WithSpec(
		applyappsv1.DeploymentSpec().WithReplicas(2).WithTemplate(applycorev1.PodTemplateSpec().WithSpec(
			applycorev1.PodSpec().WithContainers(applycorev1.Container().WithName("main").WithEnv(
				applycorev1.EnvVar().WithName("A").WithValue("1")))))),
		metav1.ApplyOptions{FieldManager: manager, Force: true})
	must(err)
	main := applied.Spec.Template.Spec.Containers[0]
	say(seen{"image": main.Image, "environment": main.Env})
	s.observers.workloads.expect(1)
	invalid := applied.DeepCopy()
	invalid.Spec.Selector.MatchLabels["app"] = "other"
	invalid.ResourceVersion = ""
	_, err = client.Update(s.ctx, invalid, metav1.UpdateOptions{})
	say(seen{"invalid": apierrors.IsInvalid(err)})
	foreground := metav1.DeletePropagationForeground
	must(client.Delete(s.ctx, "web", metav1.DeleteOptions{PropagationPolicy: &foreground}))
	s.observers.workloads.expect(2)
}

func reviews(s *session) {
	review, err := s.typed.AuthorizationV1().SelfSubjectAccessReviews().Create(s.ctx,
		&authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
			ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: "delete", Resource: "nodes"},
		}}, metav1.CreateOptions{})
	must(err)
	say(seen{"allowed": review.Status.Allowed})
	_, err = s.typed.CoreV1().ServiceAccounts(namespace).Apply(s.ctx,
		applycorev1.ServiceAccount("robot", namespace), metav1.ApplyOptions{FieldManager: manager})
	must(err)
	token, err := s.typed.CoreV1().ServiceAccounts(namespace).CreateToken(s.ctx, "robot",
		&authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: ptr.To[int64](3600)}},
		metav1.CreateOptions{})
	must(err)
	checked, err := s.typed.AuthenticationV1().TokenReviews().Create(s.ctx, &authenticationv1.TokenReview{
		Spec: authenticationv1.TokenReviewSpec{Token: token.Status.Token},
	}, metav1.CreateOptions{})
	must(err)
	say(seen{"user": checked.Status.User.Username, "authenticated": checked.Status.Authenticated})
}
