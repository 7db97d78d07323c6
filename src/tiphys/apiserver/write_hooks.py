"""The write hooks of Services (addresses and ports), of roles and bindings (nobody grants what they have not) and of
requests for certificates (who asks)."""

from __future__ import annotations

from typing import Any, Protocol

from tiphys.apiserver.allocation import Refused, ServiceAllocator
from tiphys.apiserver.authn.identity import UserInfo
from tiphys.apiserver.hooks import Ended
from tiphys.apiserver.rest.context import WriteContext
from tiphys.machinery import errors


class ServiceAddresses:
    """See `hooks.WriteHook`."""

    def __init__(self, allocator: ServiceAllocator) -> None:
        self._allocator = allocator

    def before_write(self, context: WriteContext, new: Any, old: Any) -> Ended | None:
        if context.subresource:
            return None
        try:
            reservation = self._allocator.assign(new, old)
        except Refused as refused:
            name = new.metadata.name or ""
            raise errors.invalid(context.resource.kind, context.resource.group, name, refused.findings) from refused
        return lambda: self._allocator.release(reservation)


class Escalations(Protocol):
    """`authz.escalation.EscalationCheck`, as far as it is used here."""

    def check_role(self, user: UserInfo, old: Any, new: Any) -> None: ...

    def check_binding(self, user: UserInfo, old: Any, new: Any) -> None: ...


class RoleEscalation:
    """A role may only hold what its writer may do."""

    def __init__(self, check: Escalations) -> None:
        self._check = check

    def before_write(self, context: WriteContext, new: Any, old: Any) -> Ended | None:
        self._check.check_role(context.user, old, new)
        return None


class BindingEscalation:
    """A binding may only grant what its writer may do."""

    def __init__(self, check: Escalations) -> None:
        self._check = check

    def before_write(self, context: WriteContext, new: Any, old: Any) -> Ended | None:
        self._check.check_binding(context.user, old, new)
        return None
