"""Metadata of every kind: names, labels, annotations, owners, finalizers, updates; selectors; ages; equality."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from documents import told
from hypothesis import given
from hypothesis import strategies as st

from tiphys.kinds.equality import same
from tiphys.kinds.int_or_percent import amount_of
from tiphys.kinds.label_selectors import validate_label_selector
from tiphys.kinds.object_meta import (
    dns1035_name,
    label_name,
    path_segment_name,
    subdomain_name,
    validate_object_meta,
    validate_object_meta_update,
    validate_owner_references,
)
from tiphys.kinds.types.core_v1 import Container, PodSpec
from tiphys.kinds.types.meta_v1 import (
    LabelSelector,
    LabelSelectorRequirement,
    ManagedFieldsEntry,
    ObjectMeta,
    OwnerReference,
)
from tiphys.machinery import duration
from tiphys.machinery.field_errors import Path
from tiphys.machinery.timestamps import Time

GOOD = ObjectMeta(name="a", namespace="default")
NAME = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and"
    " end with an alphanumeric character (e.g. 'example.com', regex used for validation is"
    " '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
LABEL = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and"
    " end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is"
    " '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
OWNER = OwnerReference(apiVersion="apps/v1", kind="ReplicaSet", name="r", uid="u", controller=True)

CASES: list[tuple[str, dict[str, Any], list[tuple[str, str, str]]]] = [
    ("good", {}, []),
    ("no name", {"name": None}, [("metadata.name", "Required", "Required value: name or generateName is required")]),
    ("name", {"name": "A"}, [("metadata.name", "Invalid", f'Invalid value: "A": {NAME}')]),
    ("prefix", {"generateName": "a-"}, []),
    ("bad prefix", {"generateName": "A-"}, [("metadata.generateName", "Invalid", f'Invalid value: "A-": {NAME}')]),
    ("no namespace", {"namespace": None}, [("metadata.namespace", "Required", "Required value")]),
    ("label", {"labels": {"a": "b c"}}, [("metadata.labels", "Invalid", f'Invalid value: "b c": {LABEL}')]),
    (
        "annotations",
        {"annotations": {"a": "x" * (256 * 1024)}},
        [("metadata.annotations", "TooLong", "Too long: may not be more than 262144 bytes")],
    ),
    ("annotation in capitals", {"annotations": {"Example.COM/a": "x"}}, []),
    ("owner", {"ownerReferences": [OWNER]}, []),
    (
        "owner without uid",
        {"ownerReferences": [msgspec.structs.replace(OWNER, uid="")]},
        [("metadata.ownerReferences.uid", "Invalid", 'Invalid value: "": must not be empty')],
    ),
    (
        "finalizer",
        {"finalizers": ["mine"]},
        [
            (
                "metadata.finalizers[0]",
                "Invalid",
                'Invalid value: "mine": name is neither a standard finalizer name nor is it fully qualified',
            )
        ],
    ),
    ("good finalizers", {"finalizers": ["orphan", "example.com/a"]}, []),
    (
        "orphan and wait",
        {"finalizers": ["orphan", "foregroundDeletion"]},
        [
            (
                "metadata.finalizers",
                "Invalid",
                'Invalid value: ["orphan","foregroundDeletion"]: finalizer orphan and foregroundDeletion cannot be both'
                " set",
            )
        ],
    ),
]


@pytest.mark.parametrize(("changes", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_metadata(changes: dict[str, Any], expected: list[tuple[str, str, str]]) -> None:
    assert told(validate_object_meta(msgspec.structs.replace(GOOD, **changes), True)) == expected


def test_two_controllers() -> None:
    meta = msgspec.structs.replace(GOOD, ownerReferences=[OWNER, msgspec.structs.replace(OWNER, name="s")])
    found = validate_object_meta(meta, True)
    assert [finding.field for finding in found] == ["metadata.ownerReferences"]
    assert found[0].message.endswith(
        'Only one reference can have Controller set to true. Found "true" in references for ReplicaSet/r and'
        " ReplicaSet/s"
    )


def test_cluster_scope_has_no_namespace() -> None:
    assert told(validate_object_meta(GOOD, False)) == [
        ("metadata.namespace", "Forbidden", "Forbidden: not allowed on this type")
    ]


def test_custom_resources_may_have_plain_finalizers() -> None:
    meta = msgspec.structs.replace(GOOD, finalizers=["mine"])
    assert validate_object_meta(meta, True, qualified_finalizers=False) == []


def test_updates_of_metadata() -> None:
    old = msgspec.structs.replace(GOOD, uid="u", resourceVersion="5", generation=2)
    assert validate_object_meta_update(old, old) == []
    new = msgspec.structs.replace(old, uid="v", resourceVersion=None, generation=1)
    assert told(validate_object_meta_update(new, old)) == [
        ("metadata.uid", "Invalid", 'Invalid value: "v": field is immutable'),
        ("metadata.resourceVersion", "Invalid", 'Invalid value: "": must be specified for an update'),
        ("metadata.generation", "Invalid", "Invalid value: 1: must not be decremented"),
    ]
    dying = msgspec.structs.replace(old, deletionTimestamp=Time("2026-01-01T00:00:00Z"), finalizers=["a/b"])
    late = msgspec.structs.replace(dying, finalizers=["a/b", "a/c"])
    assert told(validate_object_meta_update(late, dying)) == [
        (
            "metadata.finalizers",
            "Forbidden",
            "Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers"
            ' []string{"a/c"}',
        )
    ]


def test_sorts_of_names() -> None:
    assert subdomain_name("a.b") == []
    assert label_name("a.b") == ["must not contain dots"]
    assert dns1035_name("a-", True) == []
    assert dns1035_name("1a") != []
    assert path_segment_name("system:a b") == []
    assert path_segment_name("a/b") == ["may not contain '/'"]
    assert path_segment_name("..") == ["may not be '..'"]


def test_label_selectors() -> None:
    selector = LabelSelector(
        matchExpressions=[
            LabelSelectorRequirement(key="a", operator="In"),
            LabelSelectorRequirement(key="a", operator="Exists", values=["b"]),
            LabelSelectorRequirement(key="a", operator="Near"),
        ]
    )
    assert told(validate_label_selector(selector, Path("s"))) == [
        (
            "s.matchExpressions[0].values",
            "Required",
            "Required value: must be specified when `operator` is 'In' or 'NotIn'",
        ),
        (
            "s.matchExpressions[1].values",
            "Forbidden",
            "Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
        ),
        ("s.matchExpressions[2].operator", "Invalid", 'Invalid value: "Near": not a valid selector operator'),
    ]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "<invalid>"),
        (-1.5, "0s"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (312, "5m12s"),
        (600, "10m"),
        (10799, "179m"),
        (10800, "3h"),
        (12345, "3h25m"),
        (8 * 3600, "8h"),
        (47 * 3600, "47h"),
        (48 * 3600, "2d"),
        (76 * 3600, "3d4h"),
        (9 * 86400 + 3600, "9d"),
        (729 * 86400, "729d"),
        (2 * 365 * 86400, "2y"),
        (800 * 86400, "2y70d"),
        (3000 * 86400, "8y"),
    ],
)
def test_durations_in_words(seconds: float, words: str) -> None:
    assert duration.human_duration(seconds) == words


def test_ages() -> None:
    assert duration.age(None, 0.0) == "<unknown>"
    assert duration.age("1970-01-01T00:00:00Z", 312.0) == "5m12s"
    assert duration.time_left("1970-01-01T00:05:12Z", 0.0) == "5m12s"


@pytest.mark.parametrize(
    ("value", "total", "round_up", "expected"),
    [(3, 10, True, 3), ("25%", 10, True, 3), ("25%", 10, False, 2), ("0%", 10, True, 0), ("100%", 7, False, 7)],
)
def test_numbers_and_percentages(value: int | str, total: int, round_up: bool, expected: int) -> None:
    assert amount_of(value, total, round_up) == expected


def test_percentages_that_are_none() -> None:
    with pytest.raises(ValueError, match="string is not a percentage"):
        amount_of("a", 1, True)


def test_empty_means_unset() -> None:
    left = PodSpec(containers=[Container(name="a", env=[])], nodeName="")
    assert same(left, PodSpec(containers=[Container(name="a")]))
    assert not same(left, PodSpec(containers=[Container(name="b")]))
    assert not same(PodSpec(activeDeadlineSeconds=0), PodSpec())


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2) | st.sampled_from(["", "a"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=6,
)


@given(VALUES, VALUES)
def test_sameness_is_symmetric_and_reflexive(left: Any, right: Any) -> None:
    assert same(left, left)
    assert same(left, right) == same(right, left)


@pytest.mark.parametrize("api_version", ["", "apps/", "a/b/c"])
def test_owners_have_a_version(api_version: str) -> None:
    owner = OwnerReference(apiVersion=api_version, kind="ConfigMap", name="a", uid="u")
    (found,) = validate_owner_references([owner], Path("metadata.ownerReferences"))
    assert (found.field, found.message) == (
        "metadata.ownerReferences.apiVersion",
        f'Invalid value: "{api_version}": version must not be empty',
    )


def test_managed_fields() -> None:
    entries = [
        ManagedFieldsEntry(operation="Apply", fieldsType="FieldsV1", manager="a b", subresource="status"),
        ManagedFieldsEntry(operation="Own", fieldsType="FieldsV2", manager="\u00e9\n", subresource="s" * 257),
        ManagedFieldsEntry(operation="Update", manager="m" * 129),
    ]
    at = "metadata.managedFields"
    assert told(validate_object_meta(msgspec.structs.replace(GOOD, managedFields=entries), True)) == [
        (f"{at}[1].operation", "Invalid", 'Invalid value: "Own": must be `Apply` or `Update`'),
        (f"{at}[1].fieldsType", "Invalid", 'Invalid value: "FieldsV2": must be `FieldsV1`'),
        (f"{at}[1].manager", "Invalid", 'Invalid value: "\u00e9\\n": invalid character U+000A (at position 2)'),
        (f"{at}[1].subresource", "TooLong", "Too long: may not be more than 256 bytes"),
        (f"{at}[2].manager", "TooLong", "Too long: may not be more than 128 bytes"),
    ]
