"""Fields that mean nothing to their type, wherever they stand."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tiphys.apiserver import strictness
from tiphys.kinds.types import apiextensions_v1, core_v1

VERSION = {"schema": {"openAPIV3Schema": {"properties": {"spec": {"type": "object", "tipe": "x"}}}}}
CASES = [
    (core_v1.Pod, {"spec": {"containers": [{"name": "c", "nome": 1}]}}, ["spec.containers[0].nome"]),
    (core_v1.Pod, {"spec": {"nodeSelector": {"any": "x"}}, "extra": {"deep": {}}}, ["extra"]),
    (core_v1.Pod, {"spec": {"containers": None}, "status": {"phase": "Running"}}, []),
    (
        apiextensions_v1.CustomResourceDefinition,
        {"spec": {"versions": [VERSION]}},
        ["spec.versions[0].schema.openAPIV3Schema.properties.spec.tipe"],
    ),
]


@pytest.mark.parametrize(("wanted", "plain", "unknown"), CASES)
def test_unknown_fields_are_found_in_bodies_and_in_values(wanted: Any, plain: Any, unknown: list[str]) -> None:
    expected = [f'unknown field "{path}"' for path in unknown]
    assert strictness.unknown_fields(plain, wanted) == expected
    assert strictness.findings(msgspec.json.encode(plain), wanted) == expected
