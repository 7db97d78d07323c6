package main

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
)

var (
	definitions = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
	gadgets     = schema.GroupVersionResource{Group: "go-client.example.com", Version: "v1", Resource: "gadgets"}
)

func gadgetDefinition() *unstructured.Unstructured {
	integer := func(more map[string]any) map[string]any {
		more["type"] = "integer"
		return more
	}
	properties := func(fields map[string]any) map[string]any {
		return map[string]any{"type": "object", "properties": fields}
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1",
		"kind":       "CustomResourceDefinition",
		"metadata":   map[string]any{"name": gadgets.GroupResource().String()},
		"spec": map[string]any{
			"group": gadgets.Group,
			"scope": "Namespaced",
			"names": map[string]any{"plural": "gadgets", "singular": "gadget", "kind": "Gadget", "listKind": "GadgetList"},
			"versions": []any{map[string]any{
				"name": gadgets.Version, "served": true, "storage": true,
				"subresources": map[string]any{"status": map[string]any{}},
				"schema": map[string]any{"openAPIV3Schema": properties(map[string]any{
					"spec": properties(map[string]any{
						"size":  integer(map[string]any{"minimum": int64(1)}),
						"color": map[string]any{"type": "string", "default": "red"},
					}),
					"status": properties(map[string]any{"made": integer(map[string]any{})}),
				})},
			}},
		},
	}}
}

func gadget(name string, size int64) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": gadgets.GroupVersion().String(),
		"kind":       "Gadget",
		"metadata":   map[string]any{"name": name},
		"spec":       map[string]any{"size": size},
	}}
}

func gadgetDetail(object any) string {
	found := object.(*unstructured.Unstructured)
	color, _, _ := unstructured.NestedString(found.Object, "spec", "color")
	size, _, _ := unstructured.NestedInt64(found.Object, "spec", "size")
	made, _, _ := unstructured.NestedInt64(found.Object, "status", "made")
	return fmt.Sprintf("generation=%d size=%d color=%s made=%d", found.GetGeneration(), size, color, made)
}

func labelsOf(object any) string {
	found, err := meta.Accessor(object)
	must(err)
	return pairs(found.GetLabels())
}

// establish creates the definition and waits, as operators do, for a condition that a watch tells of.
func establish(s *session) {
	definition, err := s.dynamic.Resource(definitions).Create(s.ctx, gadgetDefinition(), metav1.CreateOptions{})
	must(err)
	selected := fields.OneTermEqualSelector("metadata.name", definition.GetName()).String()
	client := s.dynamic.Resource(definitions)
	source := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			options.FieldSelector = selected
			return client.List(ctx, options)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			options.FieldSelector = selected
			return client.Watch(ctx, options)
		},
	}
	_, err = watchtools.UntilWithSync(s.ctx, source, &unstructured.Unstructured{}, nil, func(event watch.Event) (bool, error) {
		conditions, _, err := unstructured.NestedSlice(event.Object.(*unstructured.Unstructured).Object, "status", "conditions")
		for _, each := range conditions {
			condition := each.(map[string]any)
			if condition["type"] == "Established" && condition["status"] == "True" {
				return true, nil
			}
		}
		return false, err
	})
	must(err)
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(s.discovery))
	mapping, err := mapper.RESTMapping(schema.GroupKind{Group: gadgets.Group, Kind: "Gadget"})
	must(err)
	say(seen{"established": mapping.Resource.String(), "scope": mapping.Scope.Name()})
}

// customResources works on resources that no client was compiled for.
func customResources(s *session) {
	establish(s)
	client := s.dynamic.Resource(gadgets).Namespace(namespace)
	_, err := client.Create(s.ctx, gadget("before", 1), metav1.CreateOptions{})
	must(err)
	observed := newObserver("gadgets", gadgetDetail)
	factory := dynamicinformer.NewFilteredDynamicSharedInformerFactory(s.dynamic, 0, namespace, nil)
	observed.add(factory.ForResource(gadgets).Informer())
	partial := newObserver("metadata of gadgets", labelsOf)
	metadataFactory := metadatainformer.NewFilteredSharedInformerFactory(s.metadata, 0, namespace, nil)
	partial.add(metadataFactory.ForResource(gadgets).Informer())
	ctx, stop := context.WithCancel(s.ctx)
	factory.Start(ctx.Done())
	metadataFactory.Start(ctx.Done())
	observed.expect(1)
	partial.expect(1)

	_, err = client.Create(s.ctx, gadget("invalid", 0), metav1.CreateOptions{})
	say(refusal(err))
	made, err := client.Create(s.ctx, gadget("dynamic", 2), metav1.CreateOptions{})
	must(err)
	must(unstructured.SetNestedField(made.Object, int64(7), "status", "made"))
	must(unstructured.SetNestedField(made.Object, int64(99), "spec", "size"))
	made, err = client.UpdateStatus(s.ctx, made, metav1.UpdateOptions{})
	must(err)
	must(unstructured.SetNestedField(made.Object, int64(3), "spec", "size"))
	must(unstructured.SetNestedField(made.Object, "lost", "spec", "unknown"))
	_, err = client.Update(s.ctx, made, metav1.UpdateOptions{FieldValidation: metav1.FieldValidationWarn})
	must(err)
	applied := gadget("dynamic", 4)
	applied.SetLabels(map[string]string{"applied": "yes"})
	_, err = client.Apply(s.ctx, "dynamic", applied, metav1.ApplyOptions{FieldManager: manager})
	say(refusal(err))
	_, err = client.Apply(s.ctx, "dynamic", applied, metav1.ApplyOptions{FieldManager: manager, Force: true})
	must(err)
	_, err = client.Patch(s.ctx, "dynamic", types.MergePatchType, []byte(`{"spec": {"color": "blue"}}`), metav1.PatchOptions{})
	must(err)
	must(client.Delete(s.ctx, "dynamic", metav1.DeleteOptions{}))
	observed.expect(5)
	partial.expect(3)
	kept, err := factory.ForResource(gadgets).Lister().ByNamespace(namespace).Get("before")
	must(err)
	say(seen{"kept": gadgetDetail(kept)})

	must(client.DeleteCollection(s.ctx, metav1.DeleteOptions{}, metav1.ListOptions{}))
	observed.expect(1)
	partial.expect(1)
	stop()
	factory.Shutdown()
	metadataFactory.Shutdown()
	must(s.dynamic.Resource(definitions).Delete(s.ctx, gadgets.GroupResource().String(), metav1.DeleteOptions{}))
}
