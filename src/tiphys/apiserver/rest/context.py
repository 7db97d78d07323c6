"""What a write is about: the same for every verb and resource."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from tiphys.apiserver.authn.identity import UserInfo
from tiphys.kinds.resource import Resource
from tiphys.machinery import errors


class WriteContext(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """`verb` is the request's. `now` is in seconds since the epoch; `new_uid` and `new_suffix` (five characters for
    generated names) are randomness handed in. `field_manager` is whose change it is in metadata.managedFields; "" when
    that is not recorded; `applies`: the change is one apply's."""

    resource: Resource
    verb: str = ""
    namespace: str
    name: str = ""
    subresource: str = ""
    field_manager: str = ""
    user: UserInfo
    now: float
    dry_run: bool = False
    applies: bool = False
    new_uid: Callable[[], str]
    new_suffix: Callable[[], str]

    def fill_in(self, obj: Any) -> None:
        """Defaults, in place."""
        strategy = self.resource.strategy
        default = strategy.default_applied if self.applies else None
        (default or strategy.default)(obj)

    def settle(self, obj: Any) -> None:
        """What is left to do to an object that is valid, in place."""
        if self.applies:
            self.resource.strategy.settle_applied(obj)

    def not_found(self) -> errors.ApiError:
        return errors.not_found(self.resource.plural, self.resource.group, self.name)

    def is_not_found(self, error: errors.ApiError) -> bool:
        """Whether an error says that this very object is not there."""
        mine = (self.resource.plural, self.resource.group, self.name)
        return error.reason == "NotFound" and (error.kind, error.group, error.name) == mine

    def conflict(self, detail: str, name: str = "") -> errors.ApiError:
        return errors.conflict(self.resource.plural, self.resource.group, name or self.name, detail)
