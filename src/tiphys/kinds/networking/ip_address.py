"""IPAddresses: one object for each Service address that is given out, named after the address."""

from __future__ import annotations

import ipaddress

from tiphys.kinds import cells
from tiphys.kinds.object_meta import immutable, label_name, path_segment_name, subdomain_name
from tiphys.kinds.strategy import Strategy
from tiphys.kinds.types.networking_v1 import IPAddress
from tiphys.kinds.value_findings import address_family
from tiphys.machinery.field_errors import FieldError, Path, invalid, required

PARENT = Path("spec.parentRef")


def canonical_address_name(name: str, prefix: bool = False) -> list[str]:
    """The name is an address in its canonical form."""
    if not address_family(name):
        return ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"]
    canonical = str(ipaddress.ip_address(name))
    return [] if canonical == name else [f'must be in canonical form ("{canonical}")']


def is_of_service(address: IPAddress) -> bool:
    parent = address.spec.parentRef
    return not parent.group and parent.resource == "services"


def validate(address: IPAddress) -> list[FieldError]:
    parent = address.spec.parentRef
    if not parent.resource and not parent.name and not parent.group and not parent.namespace:
        return [required(PARENT)]
    found: list[FieldError] = []
    if parent.group:
        found += [invalid(PARENT.child("group"), parent.group, text) for text in subdomain_name(parent.group)]
    if parent.namespace:
        found += [invalid(PARENT.child("namespace"), parent.namespace, t) for t in label_name(parent.namespace)]
    for field in ("resource", "name"):
        value = getattr(parent, field)
        if not value:
            found.append(required(PARENT.child(field)))
        found += [invalid(PARENT.child(field), value, text) for text in path_segment_name(value)] if value else []
    return found


def parent_text(address: IPAddress) -> str:
    parent = address.spec.parentRef
    resource = f"{parent.resource}.{parent.group}" if parent.group else parent.resource
    return "/".join(part for part in (resource, parent.namespace, parent.name) if part)


STRATEGY: Strategy[IPAddress] = Strategy(
    validate=validate,
    validate_update=lambda new, old: immutable(new.spec.parentRef, old.spec.parentRef, PARENT),
    name_findings=canonical_address_name,
    columns=(cells.name_column(), cells.text("ParentRef", parent_text), cells.age_column()),
    has_generation=False,
    has_status=False,
)
