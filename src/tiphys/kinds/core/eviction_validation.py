"""Whether those who want a say in a pod's eviction, and the group that it is scheduled with, are named properly."""

from __future__ import annotations

from tiphys.kinds.object_meta import label_key_findings, subdomain_name
from tiphys.kinds.types.core_v1 import EvictionResponder, PodSpec
from tiphys.machinery.field_errors import FieldError, Path, duplicate, forbidden, invalid, required, too_many

RESPONDERS_LIMIT = 10
HIGHEST_PRIORITY = 100_000
LOWEST_FREE_PRIORITY = 1000
RESERVED_DOMAINS = ("k8s.io", "kubernetes.io")
_NO_DOMAIN = "must be a domain-prefixed key (such as 'acme.io/foo')"
_RESERVED_NAME = "domain names *.k8s.io, *.kubernetes.io are reserved"
_RESERVED_PRIORITY = "priorities 0-999 are reserved for responders with *.k8s.io suffix"


def validate_eviction(spec: PodSpec, path: Path) -> list[FieldError]:
    """`path` is the spec's."""
    found: list[FieldError] = []
    responders, at = spec.evictionResponders or [], path.child("evictionResponders")
    if len(responders) > RESPONDERS_LIMIT:
        return [too_many(at, len(responders), RESPONDERS_LIMIT)]
    seen: set[str] = set()
    for position, responder in enumerate(responders):
        if responder.name in seen:
            found.append(duplicate(at.index(position), {"name": responder.name}))
        seen.add(responder.name)
        found += _responder_findings(responder, at.index(position))
    if spec.schedulingGroup is not None:
        group = path.child("schedulingGroup")
        if responders:
            found.append(forbidden(group, "may not be specified when `evictionResponders` is set"))
        name = spec.schedulingGroup.podGroupName
        if not name:
            found.append(required(group.child("podGroupName")))
        else:
            found += [invalid(group.child("podGroupName"), name, text) for text in subdomain_name(name)]
    return found


def _responder_findings(responder: EvictionResponder, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    domain, slash, _ = responder.name.partition("/")
    if not responder.name:
        found.append(required(path.child("name")))
    elif not slash or label_key_findings(responder.name):
        texts = label_key_findings(responder.name) or [_NO_DOMAIN]
        found += [invalid(path.child("name"), responder.name, text) for text in texts]
    elif any(domain == reserved or domain.endswith(f".{reserved}") for reserved in RESERVED_DOMAINS):
        found.append(invalid(path.child("name"), responder.name, _RESERVED_NAME))
    at, priority = path.child("priority"), responder.priority
    if priority < 0:
        found.append(invalid(at, priority, "must be greater than or equal to 0"))
    elif priority > HIGHEST_PRIORITY:
        found.append(invalid(at, priority, f"must be less than or equal to {HIGHEST_PRIORITY}"))
    elif priority < LOWEST_FREE_PRIORITY:
        found.append(invalid(at, priority, _RESERVED_PRIORITY))
    return found
