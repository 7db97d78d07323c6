"""Acting as somebody else: the Impersonate-* headers, and what the real user must be allowed to do for them.

Every word asked for (user, uid, each group, each extra value) needs the verb `impersonate` on a resource of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote

from tiphys.apiserver.authn.identity import (
    ANONYMOUS,
    AUTHENTICATED_GROUP,
    UNAUTHENTICATED_GROUP,
    UserInfo,
    service_account_groups,
    split_service_account,
)
from tiphys.apiserver.authz.interface import Attributes, Authorizer
from tiphys.apiserver.authz.refusal import forbidden
from tiphys.machinery import errors

_USER, _UID, _GROUP, _EXTRA = "impersonate-user", "impersonate-uid", "impersonate-group", "impersonate-extra-"
AUTHENTICATION_GROUP = "authentication.k8s.io"


@dataclass(frozen=True, slots=True, kw_only=True)
class Impersonation:
    """What the headers ask for; `extra` as (key, value) pairs in the order given."""

    user: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: tuple[tuple[str, str], ...] = ()


def requested(headers: Iterable[tuple[str, str]]) -> Impersonation | None:
    """What a request's headers (name, value) ask for; None for nothing. ApiError 400 for groups, uid or extra without
    a user."""
    user = uid = ""
    groups: list[str] = []
    extra: list[tuple[str, str]] = []
    for raw_name, value in headers:
        name = raw_name.lower()
        if not name.startswith("impersonate-"):
            continue
        if name == _USER:
            user = value
        elif name == _UID:
            uid = value
        elif name == _GROUP:
            groups.append(value)
        elif name.startswith(_EXTRA):
            extra.append((unquote(name[len(_EXTRA) :]).lower(), value))
    if user:
        return Impersonation(user=user, uid=uid, groups=tuple(groups), extra=tuple(extra))
    if uid or groups or extra:
        raise errors.bad_request("impersonation of a uid, groups or extra values without impersonating a user")
    return None


def questions(real: UserInfo, wanted: Impersonation) -> list[Attributes]:
    """What the real user must be allowed, one question for each word."""
    account = split_service_account(wanted.user)
    if account is not None:
        asked = [Attributes(real, "impersonate", "", "v1", "serviceaccounts", namespace=account[0], name=account[1])]
    else:
        asked = [Attributes(real, "impersonate", "", "v1", "users", name=wanted.user)]
    asked += [Attributes(real, "impersonate", "", "v1", "groups", name=group) for group in wanted.groups]
    if wanted.uid:
        asked.append(Attributes(real, "impersonate", AUTHENTICATION_GROUP, "v1", "uids", name=wanted.uid))
    asked += [
        Attributes(real, "impersonate", AUTHENTICATION_GROUP, "v1", "userextras", subresource=key, name=value)
        for key, value in wanted.extra
    ]
    return asked


def identity(wanted: Impersonation) -> UserInfo:
    """The identity that the request then has."""
    groups = list(wanted.groups)
    account = split_service_account(wanted.user)
    if account is not None and not groups:
        groups += service_account_groups(account[0])
    if wanted.user == ANONYMOUS:
        if UNAUTHENTICATED_GROUP not in groups:
            groups.append(UNAUTHENTICATED_GROUP)
    elif AUTHENTICATED_GROUP not in groups and UNAUTHENTICATED_GROUP not in groups:
        groups.append(AUTHENTICATED_GROUP)
    extra: dict[str, tuple[str, ...]] = {}
    for key, value in wanted.extra:
        extra[key] = (*extra.get(key, ()), value)
    return UserInfo(wanted.user, wanted.uid, tuple(groups), extra)


def impersonate(real: UserInfo, headers: Iterable[tuple[str, str]], authorizer: Authorizer) -> UserInfo:
    """The identity of a request: the real user's, or the one asked for. ApiError 400 or 403."""
    wanted = requested(headers)
    if wanted is None:
        return real
    for attributes in questions(real, wanted):
        decision = authorizer.authorize(attributes)
        if not decision.allowed:
            raise forbidden(attributes, decision.reason)
    return identity(wanted)
