import copy

import pytest

from tiphys.kinds import patch_schema
from tiphys.kinds.types.apps_v1 import Deployment
from tiphys.kinds.types.core_v1 import Node, Pod, Service
from tiphys.kinds.types.policy_v1 import PodDisruptionBudget
from tiphys.machinery.patch import strategic
from tiphys.machinery.patch.errors import MalformedPatch


def apply(kind, document, patch):
    before = copy.deepcopy((document, patch))
    result = strategic.apply(document, patch, patch_schema.of_type(kind))
    assert (document, patch) == before
    return result


def containers(*items, **more):
    return {"spec": {"containers": list(items), **more}}


def test_maps_merge_and_null_removes():
    document = {"metadata": {"labels": {"a": "1", "b": "2"}, "name": "x"}, "spec": {"nodeSelector": {"c": "d"}}}
    patch = {"metadata": {"labels": {"a": None, "c": "3"}}, "spec": {"nodeSelector": {"e": "f"}, "unset": None}}
    assert apply(Pod, document, patch) == {
        "metadata": {"labels": {"b": "2", "c": "3"}, "name": "x"},
        "spec": {"nodeSelector": {"c": "d", "e": "f"}},
    }


def test_lists_of_maps_merge_by_their_key_in_the_order_of_the_patch():
    document = containers({"name": "a", "image": "1", "env": [{"name": "X", "value": "1"}]}, {"name": "b"})
    patch = containers({"name": "new"}, {"name": "a", "image": "2", "env": [{"name": "Y", "value": "2"}]})
    assert apply(Pod, document, patch) == containers(
        {"name": "new"},
        {"name": "a", "image": "2", "env": [{"name": "Y", "value": "2"}, {"name": "X", "value": "1"}]},
        {"name": "b"},
    )


def test_members_only_the_server_has_keep_their_place():
    document = containers({"name": "sidecar"}, {"name": "a"}, {"name": "injected"}, {"name": "b"})
    patch = {"spec": {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]}}
    assert apply(Pod, document, patch) == containers(
        {"name": "sidecar"}, {"name": "injected"}, {"name": "b"}, {"name": "a"}
    )


def test_the_order_of_a_list_can_be_given():
    document = containers({"name": "a"}, {"name": "b"}, {"name": "c"})
    patch = {
        "spec": {
            "$setElementOrder/containers": [{"name": "c"}, {"name": "new"}, {"name": "a"}],
            "containers": [{"name": "new", "image": "1"}, {"name": "b", "$patch": "delete"}],
        }
    }
    assert apply(Pod, document, patch) == containers({"name": "c"}, {"name": "new", "image": "1"}, {"name": "a"})


def test_an_order_that_the_patch_does_not_follow_is_refused():
    document = containers({"name": "a"}, {"name": "b"})
    order = [{"name": "a"}, {"name": "b"}]
    for members in ([{"name": "b"}, {"name": "a"}], [{"name": "c"}]):
        patch = {"spec": {"$setElementOrder/containers": order, "containers": members}}
        with pytest.raises(MalformedPatch) as raised:
            apply(Pod, document, patch)
        assert str(raised.value) == (
            f"The order in patch list:\n{members}\n doesn't match $setElementOrder/containers list:\n{order}\n"
        )


def test_members_are_deleted_and_lists_replaced_by_directive():
    document = containers({"name": "a"}, {"name": "b"})
    assert apply(Pod, document, containers({"name": "a", "$patch": "delete"})) == containers({"name": "b"})
    assert apply(Pod, document, containers({"$patch": "replace"}, {"name": "c"})) == containers({"name": "c"})
    assert apply(Pod, document, containers({"$patch": "replace"})) == containers()
    assert apply(Pod, document, containers({"name": "c", "$patch": "delete"})) == document


def test_maps_are_replaced_and_deleted_by_directive():
    document = {"metadata": {"labels": {"a": "1"}}}
    assert apply(Pod, document, {"metadata": {"labels": {"$patch": "replace", "b": "2"}}}) == {
        "metadata": {"labels": {"b": "2"}}
    }
    assert apply(Pod, document, {"metadata": {"labels": {"$patch": "delete"}}}) == {"metadata": {"labels": {}}}
    assert apply(Pod, document, {"metadata": {"labels": {"$patch": "merge", "b": "2"}}}) == {
        "metadata": {"labels": {"a": "1", "b": "2"}}
    }
    assert apply(Pod, {}, {"metadata": {"labels": {"$patch": "replace", "b": "2"}}}) == {
        "metadata": {"labels": {"b": "2"}}
    }


def test_keys_are_retained():
    document = {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}
    patch = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    assert apply(Deployment, document, patch) == {"spec": {"strategy": {"type": "Recreate"}}}
    document = containers(volumes=[{"name": "v", "emptyDir": {}}])
    patch = {"spec": {"volumes": [{"name": "v", "hostPath": {"path": "/"}, "$retainKeys": ["name", "hostPath"]}]}}
    assert apply(Pod, document, patch) == containers(volumes=[{"name": "v", "hostPath": {"path": "/"}}])
    patch = {"spec": {"volumes": [{"name": "w", "hostPath": {"path": "/"}, "$retainKeys": ["name", "hostPath"]}]}}
    assert apply(Pod, document, patch)["spec"]["volumes"] == [
        {"name": "w", "hostPath": {"path": "/"}},
        {"name": "v", "emptyDir": {}},
    ]


def test_lists_of_plain_values_are_sets():
    document = {"metadata": {"finalizers": ["a", "b", "c"]}}
    assert apply(Pod, document, {"metadata": {"finalizers": ["d", "b"]}}) == {
        "metadata": {"finalizers": ["d", "a", "b", "c"]}
    }
    assert apply(Pod, document, {"metadata": {"$deleteFromPrimitiveList/finalizers": ["b", "x"]}}) == {
        "metadata": {"finalizers": ["a", "c"]}
    }
    patch = {
        "metadata": {
            "$deleteFromPrimitiveList/finalizers": ["a"],
            "$setElementOrder/finalizers": ["d", "c"],
            "finalizers": ["d"],
        }
    }
    assert apply(Pod, document, patch) == {"metadata": {"finalizers": ["d", "b", "c"]}}
    assert apply(Node, {"spec": {}}, {"spec": {"podCIDRs": ["10.0.0.0/24"]}}) == {"spec": {"podCIDRs": ["10.0.0.0/24"]}}


def test_other_lists_are_replaced():
    document = {"spec": {"tolerations": [{"key": "a"}], "containers": [{"name": "a", "args": ["1", "2"]}]}}
    patch = {"spec": {"tolerations": [{"key": "b"}], "containers": [{"name": "a", "args": ["3"]}]}}
    assert apply(Pod, document, patch) == patch


def test_numbers_are_merge_keys_too():
    document = {"spec": {"ports": [{"port": 80, "nodePort": 30000}, {"port": 81}]}}
    patch = {"spec": {"ports": [{"port": 80, "targetPort": "http"}]}}
    assert apply(Service, document, patch) == {
        "spec": {"ports": [{"port": 80, "nodePort": 30000, "targetPort": "http"}, {"port": 81}]}
    }


def test_a_field_whose_strategy_is_to_replace():
    document = {"spec": {"selector": {"matchLabels": {"a": "b"}}}}
    patch = {"spec": {"selector": {"matchExpressions": []}}}
    assert apply(PodDisruptionBudget, document, patch) == patch


def test_values_change_their_sort():
    document = {"metadata": {"labels": {"a": "1"}, "name": "x"}, "spec": {"containers": "odd"}}
    patch = {"metadata": {"labels": "odd", "name": {"a": None, "b": 1}}, "spec": {"containers": [{"name": "a"}]}}
    assert apply(Pod, document, patch) == {
        "metadata": {"labels": "odd", "name": {"b": 1}},
        "spec": {"containers": [{"name": "a"}]},
    }


def test_unknown_fields_are_carried():
    document = {"unknown": {"a": 1, "list": [1]}}
    assert apply(Pod, document, {"unknown": {"b": 2, "list": [2]}}) == {"unknown": {"a": 1, "b": 2, "list": [2]}}


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        ([], "expected the patch to be an object, but received array"),
        ({"$patch": "grow"}, "unknown patch type: grow in map: {'$patch': 'grow'}"),
        (
            containers({"name": "a", "$patch": "grow"}),
            "unknown patch type: grow in map: {'name': 'a', '$patch': 'grow'}",
        ),
        (containers({"image": "1"}), "map: {'image': '1'} does not contain declared merge key: name"),
        (containers({"$patch": "delete"}), "map: {'$patch': 'delete'} does not contain declared merge key: name"),
        (containers({"$patch": "merge", "name": "a"}), "merging lists cannot yet be specified in the patch"),
        (containers("a"), "expected each member of a list that is merged to be an object, but received string"),
        (
            {"spec": {"$setElementOrder/containers": "a"}},
            "expected $setElementOrder/containers to be an array, but received string",
        ),
        ({"metadata": {"$deleteFromPrimitiveList/": []}}, "invalid patch format of primitive list"),
        (
            {"metadata": {"$deleteFromPrimitiveList/finalizers": {}}},
            "expected $deleteFromPrimitiveList/finalizers to be an array, but received object",
        ),
        ({"spec": {"$retainKeys": "a"}}, "invalid patch format of retainKeys: it is a list of keys"),
        (
            {"spec": {"$retainKeys": ["a"], "b": 1}},
            "invalid patch format of retainKeys: b is in the patch, but not to be retained",
        ),
    ],
)
def test_malformed_patches(patch, message):
    with pytest.raises(MalformedPatch) as raised:
        apply(Pod, containers({"name": "a"}), patch)
    assert str(raised.value) == message


def test_schema_lookups():
    schema = patch_schema.of_definition("io.k8s.api.core.v1.PodSpec")
    field = schema.field("containers")
    assert (field.strategy, field.merge_key) == ("merge", "name")
    assert field.element is patch_schema.of_definition("io.k8s.api.core.v1.Container")
    assert schema.field("volumes").strategy == "merge"
    assert patch_schema.of_definition("nothing") is strategic.NO_SCHEMA
    assert patch_schema.of_type(Pod).field("spec").element is schema
    with pytest.raises(KeyError):
        patch_schema.of_type(str)


def test_long_lists_are_merged_in_one_pass():
    """Looking through the list for each member of the patch would take minutes here."""
    original = containers(*({"name": f"c{number}", "image": "old"} for number in range(60_000)))
    patch = containers(*({"name": f"c{number}", "image": "new"} for number in range(30_000, 90_000)))
    merged = apply(Pod, original, patch)["spec"]["containers"]
    assert {found["name"]: found["image"] for found in merged} == {
        f"c{number}": "old" if number < 30_000 else "new" for number in range(90_000)
    }
