"""The words on a value of the wrong type."""

from __future__ import annotations

from typing import Any

import pytest

from tiphys.kinds import codec
from tiphys.kinds.type_mismatch import in_go_words
from tiphys.kinds.types import apps_v1, core_v1
from tiphys.kinds.unstructured import Unstructured


@pytest.mark.parametrize(
    ("wanted", "value", "words"),
    [
        (
            apps_v1.Deployment,
            {"spec": {"replicas": "3"}},
            "string into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            core_v1.Pod,
            {"spec": {"containers": [{"name": "c", "env": [{"name": "A", "value": 1}]}]}},
            "number into Go struct field EnvVar.spec.containers.env.value of type string",
        ),
        (
            core_v1.Pod,
            {"spec": {"terminationGracePeriodSeconds": "x", "containers": []}},
            "string into Go struct field PodSpec.spec.terminationGracePeriodSeconds of type int64",
        ),
        (
            core_v1.Pod,
            {"spec": {"hostNetwork": 1}},
            "number into Go struct field PodSpec.spec.hostNetwork of type bool",
        ),
        (
            core_v1.Pod,
            {"spec": {"containers": {}}},
            "object into Go struct field PodSpec.spec.containers of type []v1.Container",
        ),
        (core_v1.Pod, {"spec": []}, "array into Go struct field Pod.spec of type v1.PodSpec"),
        (core_v1.ConfigMap, {"data": {"a": True}}, "bool into Go struct field ConfigMap.data of type string"),
        (core_v1.ConfigMap, {"data": []}, "array into Go struct field ConfigMap.data of type map[string]string"),
        (
            core_v1.ConfigMap,
            {"metadata": {"finalizers": "x"}},
            "string into Go struct field ObjectMeta.metadata.finalizers of type []string",
        ),
        (Unstructured, {"metadata": {"name": 5}}, "number into Go struct field ObjectMeta.name of type string"),
        (Unstructured, {"metadata": "x"}, "string into Go value of type v1.ObjectMeta"),
    ],
)
def test_types_that_do_not_fit(wanted: type[Any], value: Any, words: str) -> None:
    with pytest.raises(ValueError, match="Expected") as caught:
        codec.convert(value, wanted)
    assert in_go_words(str(caught.value), wanted) == f"json: cannot unmarshal {words}"


def test_other_words_stay() -> None:
    for text in ("Object missing required field", "Expected `str`, got `int` - at `$.nowhere.to.be.found`"):
        assert in_go_words(text, core_v1.Pod) == text
