"""The words for JSON that does not fit its type."""

from __future__ import annotations

from typing import Any

import pytest

from tiphys.kinds import codec, registry
from tiphys.kinds.misfits import first
from tiphys.kinds.types import apps_v1, core_v1

QUANTITY = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
FIELD = "into Go struct field"


@pytest.mark.parametrize(
    ("value", "wanted", "unmarshal", "restore"),
    [
        (
            {"metadata": {"labels": "x"}},
            core_v1.Pod,
            f"json: cannot unmarshal string {FIELD} ObjectMeta.metadata.labels of type map[string]string",
            "cannot restore map from string",
        ),
        (
            {"metadata": {"labels": {"a": 1}}},
            core_v1.Pod,
            f"json: cannot unmarshal number {FIELD} ObjectMeta.metadata.labels of type string",
            "unrecognized type: string",
        ),
        (
            {"spec": {"replicas": "3"}},
            apps_v1.Deployment,
            f"json: cannot unmarshal string {FIELD} DeploymentSpec.spec.replicas of type int32",
            "unrecognized type: int32",
        ),
        (
            {"spec": {"replicas": 1.5}},
            apps_v1.Deployment,
            f"json: cannot unmarshal number 1.5 {FIELD} DeploymentSpec.spec.replicas of type int32",
            "unrecognized type: int32",
        ),
        (
            {"spec": {"replicas": 2**31}},
            apps_v1.Deployment,
            f"json: cannot unmarshal number 2147483648 {FIELD} DeploymentSpec.spec.replicas of type int32",
            "unrecognized type: int32",
        ),
        (
            {"spec": {"template": {"spec": {"containers": [{"name": "a", "tty": True}, {"name": "b", "tty": "no"}]}}}},
            apps_v1.Deployment,
            f"json: cannot unmarshal string {FIELD} Container.spec.template.spec.containers.tty of type bool",
            "unrecognized type: bool",
        ),
        (
            {"spec": {"containers": {}}},
            core_v1.Pod,
            f"json: cannot unmarshal object {FIELD} PodSpec.spec.containers of type []v1.Container",
            "cannot restore slice from map",
        ),
        (
            {"spec": 5},
            core_v1.Pod,
            f"json: cannot unmarshal number {FIELD} Pod.spec of type v1.PodSpec",
            "cannot restore struct from: int64",
        ),
        (
            [],
            core_v1.Pod,
            "json: cannot unmarshal array into Go value of type v1.Pod",
            "cannot restore struct from: slice",
        ),
        (
            {"data": {"a": "YQ==", "b": "YW%="}},
            core_v1.Secret,
            "illegal base64 data at input byte 2",
            "illegal base64 data at input byte 2",
        ),
        (
            {"kind": 5},
            core_v1.Secret,
            f"json: cannot unmarshal number {FIELD} Secret.kind of type string",
            "unrecognized type: string",
        ),
        ({"spec": {"overhead": {"cpu": "much"}}}, core_v1.Pod, QUANTITY, QUANTITY),
        (
            {"metadata": {"creationTimestamp": 5}},
            core_v1.Pod,
            f"json: cannot unmarshal number {FIELD} ObjectMeta.metadata.creationTimestamp of type string",
            "json: cannot unmarshal number into Go value of type string",
        ),
    ],
)
def test_words(value: Any, wanted: type[Any], unmarshal: str, restore: str) -> None:
    found = first(value, wanted)
    assert found is not None
    assert (found.unmarshal_text(), found.restore_text()) == (unmarshal, restore)


@pytest.mark.parametrize("resource", [found for found in registry.all_resources() if found.storage], ids=str)
def test_what_is_served_fits(resource: Any) -> None:
    assert first(codec.plain(resource.type()), resource.type) is None


def test_what_is_unknown_or_null_fits() -> None:
    assert first({"spec": {"nonsense": 1, "containers": None}}, core_v1.Pod) is None
