"""Schedulers bind ResourceClaims, and drivers report of their own devices."""

from __future__ import annotations

from typing import Any

import pytest

from tiphys.apiserver.authn.identity import UserInfo
from tiphys.apiserver.authn.service_accounts import NODE_NAME
from tiphys.apiserver.authz.interface import NO_OPINION, Attributes, Decision
from tiphys.apiserver.claim_hooks import ClaimStatuses
from tiphys.apiserver.rest.context import WriteContext
from tiphys.kinds import codec, registry
from tiphys.kinds.types.resource_v1 import ResourceClaim
from tiphys.machinery.errors import ApiError

JANE = UserInfo("jane")
DRIVER_ON_N = UserInfo("system:serviceaccount:drivers:gpu", extra={NODE_NAME: ("n",)})
GPU = {"driver": "gpu.example.com", "pool": "p", "device": "d"}
NIC = {"driver": "nic.example.com", "pool": "p", "device": "d"}
FIELD = {"key": "metadata.name", "operator": "In", "values": ["n"]}
ON_N = {"nodeSelector": {"nodeSelectorTerms": [{"matchFields": [FIELD]}]}}
ANYWHERE = {"nodeSelector": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "Exists"}]}]}}
USER = {"resource": "pods", "name": "a", "uid": "u"}


class Allows:
    """Lets these (verb, subresource, namespace, name) through."""

    def __init__(self, *allowed: tuple[str, str, str, str]) -> None:
        self.allowed = allowed

    def authorize(self, attributes: Attributes) -> Decision:
        assert (attributes.group, attributes.resource) == ("resource.k8s.io", "resourceclaims")
        asked = (attributes.verb, attributes.subresource, attributes.namespace, attributes.name)
        return Decision(True) if asked in self.allowed else NO_OPINION


def claim(status: dict[str, Any]) -> ResourceClaim:
    return codec.convert({"metadata": {"name": "c", "namespace": "ns"}, "status": status}, ResourceClaim)


def refusals(
    authorizer: Allows,
    new: dict[str, Any],
    old: dict[str, Any],
    user: UserInfo = JANE,
    verb: str = "update",
    subresource: str = "status",
) -> list[str]:
    resource = registry.find("resource.k8s.io", "v1", "resourceclaims")
    assert resource is not None
    context = WriteContext(
        resource=resource,
        verb=verb,
        namespace="ns",
        name="c",
        subresource=subresource,
        user=user,
        now=0.0,
        new_uid=lambda: "u",
        new_suffix=lambda: "s",
    )
    try:
        ClaimStatuses(authorizer).before_write(context, claim(new), claim(old))
    except ApiError as error:
        assert error.code == 422
        return [str(cause) for cause in error.causes]
    return []


@pytest.mark.parametrize("new", [{"allocation": ON_N}, {"reservedFor": [USER]}])
@pytest.mark.parametrize("verb", ["update", "patch"])
def test_who_may_bind_claims(new: dict[str, Any], verb: str) -> None:
    assert refusals(Allows((verb, "binding", "", "")), new, {}, verb=verb) == []
    assert refusals(Allows(), new, new) == []
    assert refusals(Allows(), new, {}, subresource="") == []
    assert refusals(Allows(), new, {}, verb=verb) == [
        "status: Forbidden: changing status.allocation or status.reservedFor requires"
        f' resource="resourceclaims/binding", verb="{verb}" permission: resourceclaims.resource.k8s.io is forbidden:'
        f' User "jane" cannot {verb} resource "resourceclaims/binding" in API group "resource.k8s.io" at the cluster'
        " scope"
    ]


def test_drivers_report_of_their_own_devices() -> None:
    gpu = ("arbitrary-node:update", "driver", "ns", "gpu.example.com")
    assert refusals(Allows(gpu), {"devices": [GPU]}, {}) == []
    assert refusals(Allows(gpu), {}, {"devices": [GPU]}) == []
    assert refusals(Allows(), {"devices": [NIC]}, {"devices": [NIC]}) == []
    assert refusals(Allows(gpu), {"devices": [GPU, {**NIC, "data": {"a": 1}}]}, {"devices": [NIC]}) == [
        'status: Forbidden: changing status.devices requires resource="resourceclaims/driver",'
        ' verb="[arbitrary-node:update]" permission: resourceclaims.resource.k8s.io "nic.example.com" is forbidden:'
        ' User "jane" cannot arbitrary-node:update resource "resourceclaims/driver" in API group "resource.k8s.io" in'
        ' the namespace "ns"'
    ]


@pytest.mark.parametrize(
    ("user", "allocation", "associated"),
    [
        (DRIVER_ON_N, ON_N, True),
        (DRIVER_ON_N, ANYWHERE, False),
        (UserInfo(DRIVER_ON_N.name, extra={NODE_NAME: ("m",)}), ON_N, False),
        (UserInfo("jane", extra={NODE_NAME: ("n",)}), ON_N, False),
    ],
)
def test_drivers_on_the_node_of_the_claim(user: UserInfo, allocation: dict[str, Any], associated: bool) -> None:
    allows = Allows(("associated-node:update", "driver", "ns", "gpu.example.com"))
    found = refusals(allows, {"allocation": allocation, "devices": [GPU]}, {"allocation": allocation}, user)
    assert len(found) == (0 if associated else 1)
