"""Which flow schema a request belongs to, and with it which priority level: what the answers' X-Kubernetes-PF headers
name, so that operators see how their schemas sort the traffic.

Schemas are tried by precedence, then by name; one whose priority level is missing is left out. How much may be under
way at once is not shared out by level here: `io/handler.py` bounds reading and changing requests as a whole. Specified
in "API Priority and Fairness".
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from tiphys.apiserver.authn.identity import UserInfo
from tiphys.apiserver.authz.interface import Attributes
from tiphys.apiserver.caches import Caches
from tiphys.kinds.types.flowcontrol_v1 import (
    FlowSchema,
    NonResourcePolicyRule,
    PriorityLevelConfiguration,
    ResourcePolicyRule,
    Subject,
)

REMEMBERED_LIMIT = 4096
REMEMBERED_CHARACTERS_LIMIT = 512  # of what clients can make as long as a path
_ALL = "*"


class Flows:
    """Follows the schemas and levels in the caches, and remembers which requests matched what."""

    def __init__(self, caches: Caches) -> None:
        self._caches = caches
        self._ordered: list[tuple[FlowSchema, bytes]] | None = None
        self._remembered: dict[tuple[object, ...], bytes] = {}
        caches.subscribe(FlowSchema, self._changed)
        caches.subscribe(PriorityLevelConfiguration, self._changed)

    def _changed(self, old: object, new: object) -> None:
        self._ordered = None
        self._remembered.clear()

    def lines(self, asked: Attributes) -> bytes:
        """The header lines for the answer to a request; none when no schema matches it."""
        user, place = asked.user, asked.namespace if asked.is_resource else asked.path
        key = (user.name, user.groups, asked.verb, asked.group, asked.resource, asked.subresource, place)
        found = self._remembered.get(key)
        if found is None:
            if len(self._remembered) >= REMEMBERED_LIMIT:
                self._remembered.clear()
            schemas = self._schemas()
            found = next((lines for schema, lines in schemas if matches(schema, asked)), b"")
            if sum(map(len, (asked.group, asked.resource, asked.subresource, place))) <= REMEMBERED_CHARACTERS_LIMIT:
                self._remembered[key] = found
        return found

    def _schemas(self) -> list[tuple[FlowSchema, bytes]]:
        if self._ordered is None:
            levels = {level.metadata.name: level for level in self._caches.list(PriorityLevelConfiguration)}
            self._ordered = [
                (schema, _lines(schema, levels[schema.spec.priorityLevelConfiguration.name]))
                for schema in in_order(self._caches.list(FlowSchema))
                if schema.spec.priorityLevelConfiguration.name in levels
            ]
        return self._ordered


def _lines(schema: FlowSchema, level: PriorityLevelConfiguration) -> bytes:
    uids = (schema.metadata.uid or "").encode(), (level.metadata.uid or "").encode()
    return b"X-Kubernetes-Pf-Flowschema-Uid: %s\r\nX-Kubernetes-Pf-Prioritylevel-Uid: %s\r\n" % uids


def in_order(schemas: Iterable[FlowSchema]) -> list[FlowSchema]:
    return sorted(schemas, key=lambda schema: (schema.spec.matchingPrecedence or 0, schema.metadata.name or ""))


def matches(schema: FlowSchema, asked: Attributes) -> bool:
    """Whether one of the schema's rules has both the sender and what is asked for."""
    for rule in schema.spec.rules or ():
        if not any(_is_subject(subject, asked.user) for subject in rule.subjects):
            continue
        if asked.is_resource:
            if any(_has_resource(found, asked) for found in rule.resourceRules or ()):
                return True
        elif any(_has_path(found, asked) for found in rule.nonResourceRules or ()):
            return True
    return False


def _is_subject(subject: Subject, user: UserInfo) -> bool:
    if subject.user is not None:
        return subject.user.name in (_ALL, user.name)
    if subject.group is not None:
        return subject.group.name == _ALL or subject.group.name in user.groups
    account = subject.serviceAccount
    if account is None:
        return False
    prefix = f"system:serviceaccount:{account.namespace}:"
    return user.name.startswith(prefix) if account.name == _ALL else user.name == prefix + account.name


def _has(names: Collection[str], name: str) -> bool:
    return name in names or _ALL in names


def _has_resource(rule: ResourcePolicyRule, asked: Attributes) -> bool:
    resource = f"{asked.resource}/{asked.subresource}" if asked.subresource else asked.resource
    in_scope = _has(rule.namespaces or (), asked.namespace) if asked.namespace else bool(rule.clusterScope)
    return (
        in_scope and _has(rule.verbs, asked.verb) and _has(rule.apiGroups, asked.group)
        and _has(rule.resources, resource)
    )  # fmt: skip


def _has_path(rule: NonResourcePolicyRule, asked: Attributes) -> bool:
    return _has(rule.verbs, asked.verb) and any(
        url == asked.path or (url.endswith(_ALL) and asked.path.startswith(url.rstrip(_ALL)))
        for url in rule.nonResourceURLs
    )
