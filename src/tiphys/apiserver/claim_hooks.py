"""The write hook of ResourceClaims: who changes what of their status.

Schedulers bind claims (`resourceclaims/binding`, all of them or none), and drivers report of their own devices
(`resourceclaims/driver` by the driver's name): those that run on the node of the claim with the verb
`associated-node:update`, others with `arbitrary-node:update` (or `...:patch`). Specified in "Hardening Guide - Dynamic
Resource Allocation".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from tiphys.apiserver.authn.identity import UserInfo, split_service_account
from tiphys.apiserver.authn.service_accounts import NODE_NAME
from tiphys.apiserver.authz import refusal
from tiphys.apiserver.authz.interface import Attributes, Authorizer
from tiphys.apiserver.hooks import Ended
from tiphys.apiserver.rest.context import WriteContext
from tiphys.kinds.equality import same
from tiphys.kinds.resource_api.allocation_validation import device_key
from tiphys.kinds.types.resource_v1 import AllocationResult, ResourceClaimStatus
from tiphys.machinery import errors
from tiphys.machinery.field_errors import FieldError, Path, forbidden

STATUS = Path("status")
ASSOCIATED, ARBITRARY = "associated-node:", "arbitrary-node:"


class ClaimStatuses:
    """See `hooks.WriteHook`."""

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    def before_write(self, context: WriteContext, new: Any, old: Any) -> Ended | None:
        if context.subresource == "status":
            found = [*self._binding_findings(context, new.status, old.status),
                     *self._report_findings(context, new.status, old.status)]  # fmt: skip
            if found:
                raise errors.invalid(context.resource.kind, context.resource.group, context.name, found)
        return None

    def _binding_findings(
        self, context: WriteContext, new: ResourceClaimStatus, old: ResourceClaimStatus
    ) -> Iterator[FieldError]:
        if same(new.allocation, old.allocation) and same(new.reservedFor, old.reservedFor):
            return
        refused = self._refused(context, (context.verb,), "binding", "", "")
        if refused:
            what = "changing status.allocation or status.reservedFor"
            needed = f'requires resource="resourceclaims/binding", verb="{context.verb}" permission'
            yield forbidden(STATUS, f"{what} {needed}: {refused}")

    def _report_findings(
        self, context: WriteContext, new: ResourceClaimStatus, old: ResourceClaimStatus
    ) -> Iterator[FieldError]:
        verbs = [f"{ARBITRARY}{context.verb}"]
        if _runs_on(context.user, _node_of(new.allocation)):
            verbs.insert(0, f"{ASSOCIATED}{context.verb}")
        for driver in sorted(_changed_drivers(new, old)):
            refused = self._refused(context, verbs, "driver", context.namespace, driver)
            if refused:
                needed = f'requires resource="resourceclaims/driver", verb="[{" ".join(verbs)}]" permission'
                yield forbidden(STATUS, f"changing status.devices {needed}: {refused}")

    def _refused(self, context: WriteContext, verbs: Sequence[str], subresource: str, namespace: str, name: str) -> str:
        """Why the user may do it with none of the verbs ("" when they may)."""
        first = ""
        for verb in verbs:
            asked = Attributes(
                context.user,
                verb,
                context.resource.group,
                context.resource.version,
                context.resource.plural,
                subresource,
                namespace,
                name,
            )
            decision = self._authorizer.authorize(asked)
            if decision.allowed:
                return ""
            first = first or str(refusal.forbidden(asked, decision.reason))
        return first


def _changed_drivers(new: ResourceClaimStatus, old: ResourceClaimStatus) -> set[str]:
    """The drivers of the devices whose report was added, changed or taken away."""
    before = {device_key(device): device for device in old.devices or ()}
    after = {device_key(device): device for device in new.devices or ()}
    return {key[0] for key in before.keys() | after.keys() if not same(before.get(key), after.get(key))}


def _node_of(allocation: AllocationResult | None) -> str:
    """The one node that an allocation is good for; "" for any other."""
    selector = allocation.nodeSelector if allocation is not None else None
    if selector is None or len(selector.nodeSelectorTerms) != 1:
        return ""
    term = selector.nodeSelectorTerms[0]
    fields = term.matchFields or []
    if term.matchExpressions or len(fields) != 1:
        return ""
    names = fields[0].values or []
    by_name = (fields[0].key, fields[0].operator, len(names)) == ("metadata.name", "In", 1)
    return names[0] if by_name else ""


def _runs_on(user: UserInfo, node: str) -> bool:
    """A service account whose token names this node."""
    return bool(node) and split_service_account(user.name) is not None and user.extra.get(NODE_NAME) == (node,)
