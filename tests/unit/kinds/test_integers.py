"""Numbers that do not fit their field are refused on decoding, as they cannot be stored by others."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from documents import changed, decoded

DEPLOYMENT = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}, "spec": {"replicas": 1}}
SERVICE = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"ports": [{"port": 80}]}}
POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {"containers": []}}


@pytest.mark.parametrize(
    ("document", "path", "limit"),
    [
        (DEPLOYMENT, "spec.replicas", 2**31 - 1),
        (SERVICE, "spec.ports.0.targetPort", 2**31 - 1),
        (POD, "spec.priority", -(2**31)),
    ],
)
def test_most_numbers_have_32_bits(document: dict[str, Any], path: str, limit: int) -> None:
    decoded(changed(document, {path: limit}))
    with pytest.raises(msgspec.ValidationError):
        decoded(changed(document, {path: limit + (1 if limit > 0 else -1)}))


def test_others_have_more() -> None:
    assert decoded(changed(POD, {"spec.terminationGracePeriodSeconds": 2**40})).spec.terminationGracePeriodSeconds
