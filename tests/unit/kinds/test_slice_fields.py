"""What a ResourceSlice says of devices: counts, values, capacities, counters, nodes, conditions; and its updates."""

from __future__ import annotations

from typing import Any

import pytest
from documents import NOTHING, changed, create_findings, resource_for, stored, told

from tiphys.kinds import unserved
from tiphys.kinds.resource_api.resource_slice import STRATEGY

SLICE: dict[str, Any] = {
    "apiVersion": "resource.k8s.io/v1",
    "kind": "ResourceSlice",
    "metadata": {"name": "a"},
    "spec": {
        "driver": "example.com",
        "nodeName": "node",
        "pool": {"name": "pool", "generation": 1, "resourceSliceCount": 1},
        "devices": [{"name": "d"}],
    },
}
AT = "spec.devices[0]"
CAPACITY = f"{AT}.capacity[c].requestPolicy"
LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with"
    " an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is"
    " '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
ONE = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required"
ONE_DEVICE = (
    "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set to true"
    " in the ResourceSlice spec"
)
TERM = {"matchExpressions": [{"key": "a", "operator": "Exists"}]}
SEMVER = "must be a string compatible with semver.org spec 2.0.0"


def findings(**fields: Any) -> list[tuple[str, str, str]]:
    """Of a slice whose only device has these fields."""
    return create_findings(changed(SLICE, {"spec.devices": [{"name": "d", **fields}]}))


def shared(value: str, **policy: Any) -> list[tuple[str, str, str]]:
    return findings(allowMultipleAllocations=True, capacity={"c": {"value": value, "requestPolicy": policy}})


def invalid(path: str, value: str, detail: str) -> tuple[str, str, str]:
    return path, "Invalid", f"Invalid value: {value}: {detail}"


def needed(path: str, detail: str = "") -> tuple[str, str, str]:
    return path, "Required", f"Required value: {detail}" if detail else "Required value"


def test_lists_of_attributes() -> None:
    assert findings(attributes={"a": {"ints": [1, 1]}, "b": {"versions": ["1.0.0"]}, "c": {"bools": [True]}}) == []
    assert findings(attributes={"a": {"strings": []}, "b": {"strings": ["x" * 65]}, "c": {"versions": ["1"]}}) == [
        invalid(f"{AT}.attributes[a].strings", "[]", "must not be empty if specified"),
        (f"{AT}.attributes[b].strings[0]", "TooLong", "Too long: may not be more than 64 bytes"),
        invalid(f"{AT}.attributes[c].versions[0]", '"1"', SEMVER),
    ]


def test_counts_of_attributes_and_their_values() -> None:
    attributes = {f"a{i}": {"int": i} for i in range(32)}
    assert findings(attributes=attributes) == []
    assert findings(attributes=attributes, capacity={"c": {"value": "1"}}) == [
        invalid(AT, "33", "the total number of attributes and capacities must not exceed 32")
    ]
    assert findings(attributes={"a": {"ints": list(range(48))}}) == []
    assert findings(attributes={"a": {"ints": list(range(48))}, "b": {"int": 1}}) == [
        invalid(AT, "49", "the total number of attribute values must not exceed 48")
    ]


def test_names_of_attributes() -> None:
    long = "a" * 33
    assert findings(attributes={"a/b/c": {"int": 1}, long: {"int": 1}, f"{'d' * 64}.e/f": {"string": "x" * 65}}) == [
        invalid(f"{AT}.attributes", '"a/b/c"', "must not contain more than one slash"),
        (f"{AT}.attributes", "TooLong", "Too long: may not be more than 32 bytes"),
        (f"{AT}.attributes", "TooLong", "Too long: may not be more than 63 bytes"),
        (f"{AT}.attributes[{'d' * 64}.e/f].string", "TooLong", "Too long: may not be more than 64 bytes"),
    ]


def test_a_long_key_is_shown_without_its_middle() -> None:
    key = "a" * 60 + "b" * 60
    path = f"{AT}.attributes[{'a' * 47}...{'b' * 46}].string"
    assert findings(attributes={key: {"string": "x" * 65}})[1] == (
        path,
        "TooLong",
        "Too long: may not be more than 64 bytes",
    )


def test_a_policy_is_for_devices_that_are_shared() -> None:
    capacity = {"c": {"value": "1", "requestPolicy": {"default": "1"}}}
    assert findings(capacity=capacity) == [(CAPACITY, "Forbidden", "Forbidden: allowMultipleAllocations must be true")]
    assert shared("1", default="1") == []
    both = 'exactly one policy can be specified, cannot specify "validValues" and "validRange" at the same time'
    assert shared("1", default="1", validValues=["1"], validRange={"min": "1"}) == [
        (CAPACITY, "Forbidden", f"Forbidden: {both}")
    ]


def test_valid_values() -> None:
    assert shared("4Gi", default="2Gi", validValues=["1Gi", "2Gi", "4Gi"]) == []
    assert shared("1", validValues=["1"]) == [needed(f"{CAPACITY}.default", "required when validValues is defined")]
    at = f"{CAPACITY}.validValues"
    assert shared("2", default="4", validValues=["2", "1", "1", "3"]) == [
        invalid(f"{at}[1]", '"1"', "values must be sorted in ascending order"),
        invalid(f"{at}[3]", '"3"', "option is larger than capacity value: 2"),
        (f"{at}[2]", "Duplicate", 'Duplicate value: "1"'),
        invalid(at, '"4"', "default value is not valid according to the requestPolicy"),
    ]
    assert shared("20", default="1", validValues=[str(i) for i in range(11)]) == [
        (at, "TooMany", "Too many: 11: must have at most 10 items"),
        invalid(at, '"1"', "default value is not valid according to the requestPolicy"),
    ]


def test_valid_range() -> None:
    at = f"{CAPACITY}.validRange"
    assert shared("10", default="3", validRange={"min": "1", "max": "9", "step": "2"}) == []
    assert shared("1", default="500m", validRange={"min": "0", "max": "1", "step": "250m"}) == []
    assert shared("1", validRange={"min": "0"}) == [
        needed(f"{CAPACITY}.default", "required when validRange is defined")
    ]
    assert shared("1", default="1", validRange={}) == [needed(f"{at}.min", "required when validRange is defined")]
    assert shared("2", default="1", validRange={"min": "4", "max": "3"}) == [
        invalid(f"{at}.min", '"4"', "min is larger than capacity value: 2"),
        invalid(f"{at}.default", '"1"', "default is less than min: 4"),
        invalid(f"{at}.max", '"4"', "min is larger than max: 3"),
        invalid(f"{at}.max", '"3"', "max is larger than capacity value: 2"),
    ]
    assert shared("9", default="4", validRange={"min": "1", "max": "3"}) == [
        invalid(f"{at}.default", '"4"', "default is more than max: 3")
    ]


@pytest.mark.parametrize(
    ("present", "default", "bounds", "expected"),
    [
        ("9", "1", {"min": "1", "step": "0"}, [("step", '"0"', "must be greater than zero")]),
        ("2", "1", {"min": "1", "step": "2"}, [("step", '"2"', "one step 3 is larger than capacity value: 2")]),
        ("9", "2", {"min": "1", "max": "4", "step": "2"},
         [("step", '"2"', "value is not a multiple of a given step (2) from (1)"),
          ("step", '"4"', "value is not a multiple of a given step (2) from (1)")]),
        ("9", "1", {"min": "-1", "step": "2"}, [("min", '"-1"', "must be greater than or equal to 0")]),
        ("9", "100u", {"min": "0"}, [("default", '"100u"', "value cannot be represented as a milli value")]),
        ("9", "100m", {"min": "0", "step": "1"},
         [("step", '"100m"', "value is not a multiple of a given step (1) from (0)")]),
    ],
)  # fmt: skip
def test_steps(present: str, default: str, bounds: dict[str, str], expected: list[tuple[str, str, str]]) -> None:
    at = f"{CAPACITY}.validRange"
    assert shared(present, default=default, validRange=bounds) == [invalid(f"{at}.{n}", v, d) for n, v, d in expected]


def test_what_devices_consume() -> None:
    one = {"counterSet": "a", "counters": {"b": {"value": "1"}}}
    assert findings(consumesCounters=[{**one, "compatibilityGroups": ["g", "h"]}]) == []
    at = f"{AT}.consumesCounters"
    assert findings(consumesCounters=[{**one, "counters": {"B": {"value": "1"}}}, {**one, "counters": {}}]) == [
        invalid(f"{at}[0].counters", '"B"', LABEL),
        needed(f"{at}[1].counters"),
        (f"{at}[1]", "Duplicate", 'Duplicate value: "a"'),
    ]
    assert findings(consumesCounters=[{"counterSet": "", "counters": {str(i): {} for i in range(33)}}]) == [
        needed(f"{at}[0].counterSet"),
        (f"{at}[0].counters", "TooMany", "Too many: 33: must have at most 32 items"),
    ]
    assert findings(consumesCounters=[one] * 3) == [(at, "TooMany", "Too many: 3: must have at most 2 items")]
    groups = f"{at}[0].compatibilityGroups"
    assert findings(consumesCounters=[{**one, "compatibilityGroups": ["g", "g"]}]) == [
        (f"{groups}[1]", "Duplicate", 'Duplicate value: "g"')
    ]
    assert findings(consumesCounters=[{**one, "compatibilityGroups": ["g", "h", "i"]}]) == [
        (groups, "TooMany", "Too many: 3: must have at most 2 items")
    ]


def test_counters_that_devices_share() -> None:
    sets = [{"name": "a", "counters": {"b": {"value": "1"}}}]
    alone = changed(SLICE, {"spec.devices": NOTHING, "spec.sharedCounters": sets})
    assert create_findings(alone) == []
    assert create_findings(changed(SLICE, {"spec.sharedCounters": sets})) == [
        invalid("spec", '""', "only one of `sharedCounters` or `devices` is allowed")
    ]
    assert create_findings(changed(alone, {"spec.sharedCounters": [*sets, {"name": "a"}, {"name": ""}]})) == [
        needed("spec.sharedCounters[1].counters"),
        needed("spec.sharedCounters[2].name"),
        needed("spec.sharedCounters[2].counters"),
        ("spec.sharedCounters[1]", "Duplicate", 'Duplicate value: "a"'),
    ]
    assert create_findings(changed(alone, {"spec.sharedCounters": [{"name": f"a{i}"} for i in range(9)]})) == [
        ("spec.sharedCounters", "TooMany", "Too many: 9: must have at most 8 items")
    ]


def test_where_a_slice_is() -> None:
    assert create_findings(changed(SLICE, {"spec.nodeName": NOTHING})) == [needed("spec", ONE)]
    assert create_findings(changed(SLICE, {"spec.allNodes": True})) == [
        invalid("spec", '"{`nodeName`, `allNodes`}"', f"{ONE}, but multiple fields are set")
    ]
    assert create_findings(changed(SLICE, {"spec.nodeName": "", "spec.allNodes": False})) == [
        invalid("spec.nodeName", '""', "must be either unset or set to a non-empty string"),
        invalid("spec.allNodes", "false", "must be either unset or set to true"),
        needed("spec", ONE),
    ]
    selected = {"spec.nodeName": NOTHING, "spec.nodeSelector": {"nodeSelectorTerms": [TERM, TERM]}}
    assert [found[0] for found in create_findings(changed(SLICE, selected))] == ["spec.nodeSelector.nodeSelectorTerms"]


def test_where_a_device_is() -> None:
    each = changed(SLICE, {"spec.nodeName": NOTHING, "spec.perDeviceNodeSelection": True})
    assert create_findings(each) == [needed(AT, ONE_DEVICE)]
    assert create_findings(changed(each, {"spec.devices.0.allNodes": True})) == []
    assert create_findings(changed(each, {"spec.devices.0.allNodes": True, "spec.devices.0.nodeName": "a"})) == [
        invalid(AT, '"{`nodeName`, `allNodes`}"', ONE_DEVICE)
    ]
    assert create_findings(changed(each, {"spec.devices.0.allNodes": False, "spec.devices.0.nodeName": ""})) == [
        invalid(f"{AT}.nodeName", '""', "must not be empty"),
        invalid(f"{AT}.allNodes", "false", "must be either unset or set to true"),
        needed(AT, ONE_DEVICE),
    ]
    assert findings(nodeName="a") == [
        invalid(
            AT,
            "null",
            "`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in"
            " the ResourceSlice spec",
        )
    ]


def test_binding_conditions() -> None:
    assert findings(bindingConditions=["a"], bindingFailureConditions=["b"], bindsToNode=True) == []
    assert findings(bindingConditions=["a", "a"], bindingFailureConditions=["a", "b", "b"]) == [
        (f"{AT}.bindingConditions[1]", "Duplicate", 'Duplicate value: "a"'),
        invalid(
            f"{AT}.bindingFailureConditions[0]",
            '"a"',
            "bindingFailureConditions must not overlap with bindingConditions",
        ),
        (f"{AT}.bindingFailureConditions[2]", "Duplicate", 'Duplicate value: "b"'),
    ]
    assert findings(bindingConditions=["a"]) == [
        invalid(
            f"{AT}.bindingFailureConditions",
            "[]",
            "bindingFailureConditions are required to use bindingConditions",
        )
    ]
    assert findings(bindingFailureConditions=["a", "b", "c", "d", "e"]) == [
        (f"{AT}.bindingFailureConditions", "TooMany", "Too many: 5: must have at most 4 items"),
        invalid(f"{AT}.bindingConditions", "[]", "bindingConditions are required to use bindingFailureConditions"),
    ]


def test_resources_of_the_node() -> None:
    capacity = {"c": {"value": "1"}}
    mapping = {"capacityKey": "c", "capacityMultiplier": "2"}
    good = {"cpu": {"mapping": mapping}, "hugepages-2Mi": {"overhead": {"perPod": "0"}}}
    assert findings(capacity=capacity, nodeAllocatableResources=good) == []
    at = f"{AT}.nodeAllocatableResources"
    bad: dict[str, Any] = {
        "example.com/a": {"mapping": {"deviceMultiplier": "0"}},
        "cpu": {},
        "memory": {"mapping": {"capacityKey": "d"}, "overhead": {}},
        "ephemeral-storage": {"mapping": {"capacityMultiplier": "1"}, "overhead": {"perPod": "-1"}},
    }
    assert findings(capacity=capacity, nodeAllocatableResources=bad) == [
        invalid(f"{at}[example.com/a]", '"example.com/a"', "must be a node allocatable resource name"),
        invalid(f"{at}[example.com/a].mapping.deviceMultiplier", '"0"', "must be positive"),
        needed(f"{at}[cpu]", "at least one of mapping or overhead must be set"),
        (f"{at}[memory].mapping.capacityKey", "NotFound", 'Not found: "d"'),
        needed(f"{at}[memory].mapping.capacityMultiplier", "capacityMultiplier is required when capacityKey is set"),
        invalid(f"{at}[memory].overhead", '""', "at least one of perPod or perContainer must be set"),
        needed(
            f"{at}[ephemeral-storage].mapping.capacityKey", "capacityKey is required when capacityMultiplier is set"
        ),
        invalid(
            f"{at}[ephemeral-storage].mapping",
            '""',
            "must specify one of: `capacityKey`, `deviceMultiplier`",
        ),
        invalid(f"{at}[ephemeral-storage].overhead.perPod", '"-1"', "must be non-negative"),
    ]


def test_the_kind_of_a_part() -> None:
    consumed = [{"counterSet": "a", "counters": {"b": {"value": "1"}}}]
    named = changed(SLICE, {"spec.partitionTypeAttribute": "example.com/profile"})
    assert create_findings(named) == [
        invalid(
            "spec.partitionTypeAttribute",
            '"example.com/profile"',
            "may only be set on a slice which declares devices that consume counters",
        )
    ]
    parts = changed(named, {"spec.devices": [{"name": "d", "consumesCounters": consumed}, {"name": "whole"}]})
    place = f"{AT}.attributes[example.com/profile]"
    assert create_findings(parts) == [
        needed(place, "device consumes counters and `partitionTypeAttribute` names this attribute, so it must be set")
    ]
    assert create_findings(changed(parts, {"spec.devices.0.attributes": {"profile": {"string": "half"}}})) == []
    assert create_findings(changed(parts, {"spec.devices.0.attributes": {"profile": {"int": 1}}})) == [
        invalid(place, '{"int":1}', "must be a string value because `partitionTypeAttribute` names this attribute")
    ]
    assert create_findings(changed(parts, {"spec.partitionTypeAttribute": "profile"})) == [
        invalid(
            "spec.partitionTypeAttribute",
            '"profile"',
            "a fully qualified name must be a domain and a name separated by a slash",
        )
    ]


def test_operations_that_are_skipped() -> None:
    at = "spec.skipNodeOperations"
    for good in (["*"], ["NodeUnprepareResources"], ["NodePrepareResources", "*"]):
        assert create_findings(changed(SLICE, {at: good})) == []
    assert create_findings(changed(SLICE, {at: ["NodePrepareResources", "a"]})) == [
        (
            f"{at}[1]",
            "NotSupported",
            'Unsupported value: "a": supported values: "*", "NodePrepareResources", "NodeUnprepareResources"',
        ),
        invalid(
            at,
            '["NodePrepareResources","a"]',
            "NodePrepareResources cannot be skipped unless NodeUnprepareResources is also skipped",
        ),
    ]


def test_elaborate_devices_are_fewer() -> None:
    many = [{"name": f"d{i}"} for i in range(128)]
    assert create_findings(changed(SLICE, {"spec.devices": many})) == []
    for extra in (
        {"taints": [{"key": "k", "effect": "None"}]},
        {"attributes": {"a": {"ints": [1]}}},
        {"consumesCounters": [{"counterSet": "a", "counters": {"b": {"value": "1"}}}]},
    ):
        devices = [*many[:64], {"name": "last", **extra}]
        assert create_findings(changed(SLICE, {"spec.devices": devices})) == [
            ("spec.devices", "TooMany", "Too many: 65: must have at most 64 items")
        ]


def test_what_stays_is_not_looked_at_again() -> None:
    bad = {"name": "d", "capacity": {"c": {"value": "1", "requestPolicy": {"default": "1"}}},
           "taints": [{"key": "k", "effect": "Later"}]}  # fmt: skip
    old = stored(changed(SLICE, {"spec.devices": [bad]}))
    assert STRATEGY.validate_changed is not None
    assert STRATEGY.validate_changed(old, old) == []
    assert len(STRATEGY.validate(old)) == 2


def test_a_slice_stays_with_its_driver_pool_and_node() -> None:
    new = stored(changed(SLICE, {"spec.driver": "b.com", "spec.pool.name": "b", "spec.nodeName": "b"}))
    assert told(STRATEGY.validate_update(new, stored(SLICE))) == [
        invalid("spec.pool.name", '"b"', "field is immutable"),
        invalid("spec.driver", '"b.com"', "field is immutable"),
        invalid("spec.nodeName", '"b"', "field is immutable"),
    ]


def test_drivers_are_written_small() -> None:
    odd = stored(changed(SLICE, {"spec.driver": "Example.com"}))
    assert resource_for(SLICE).strategy.warnings(odd, None) == [
        unserved.DEVICES,
        'spec.driver: driver names should be lowercase; "Example.com" contains uppercase characters',
    ]
    assert STRATEGY.fields(odd)["spec.pool.name"] == "pool"
