"""Whether what a ResourceSlice says about a device is well formed: attributes and capacities by qualified names."""

from __future__ import annotations

import re

from tiphys.kinds.object_meta import subdomain_name
from tiphys.kinds.types.resource_v1 import Device, DeviceAttribute
from tiphys.machinery.field_errors import FieldError, Path, invalid, required, too_long, too_many

NAMES_LIMIT, VALUE_LIMIT_BYTES, NAME_LIMIT_BYTES, DOMAIN_LIMIT_BYTES = 32, 64, 32, 63
ONE_VALUE = "exactly one value must be specified"
IDENTIFIER_MESSAGE = (
    "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters"
    " or '_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName', regex used for validation is '[A-Za-z_][A-Za-z0-9_]*')"
)
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NUMBER = r"(0|[1-9]\d*)"
_PART = r"(0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*)"
_VERSION = re.compile(rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(-{_PART}(\.{_PART})*)?(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?")


def validate_described(device: Device, path: Path) -> list[FieldError]:
    """The attributes and capacities of a device."""
    found: list[FieldError] = []
    attributes, capacity = device.attributes or {}, device.capacity or {}
    if len(attributes) + len(capacity) > NAMES_LIMIT:
        found.append(too_many(path, len(attributes) + len(capacity), NAMES_LIMIT))
    for name, attribute in attributes.items():
        at = path.child("attributes").key(name)
        found += qualified_name_findings(name, at) + _attribute_findings(attribute, at)
    for name in capacity:
        found += qualified_name_findings(name, path.child("capacity").key(name))
    return found


def qualified_name_findings(name: str, path: Path) -> list[FieldError]:
    """`domain/identifier`, or the identifier alone, which is in the driver's domain then."""
    if not name:
        return [required(path, "name required")]
    domain, slash, identifier = name.partition("/") if "/" in name else ("", "", name)
    found: list[FieldError] = []
    if slash and not domain:
        found.append(required(path, "the domain must not be empty"))
    elif slash:
        found += [] if len(domain) <= DOMAIN_LIMIT_BYTES else [too_long(path, DOMAIN_LIMIT_BYTES)]
        found += [invalid(path, domain, text) for text in subdomain_name(domain)]
    if slash and not identifier:
        return [*found, required(path, "the name must not be empty")]
    if len(identifier) > NAME_LIMIT_BYTES:
        found.append(too_long(path, NAME_LIMIT_BYTES))
    if not _IDENTIFIER.fullmatch(identifier):
        found.append(invalid(path, identifier, IDENTIFIER_MESSAGE))
    return found


def _attribute_findings(attribute: DeviceAttribute, path: Path) -> list[FieldError]:
    given = [field for field in attribute.__struct_fields__ if getattr(attribute, field) is not None]
    if not given:
        return [required(path, ONE_VALUE)]
    if len(given) > 1:
        return [invalid(path, attribute, ONE_VALUE)]
    found: list[FieldError] = []
    for field in ("string", "version"):
        value = getattr(attribute, field)
        if value is not None and len(value.encode()) > VALUE_LIMIT_BYTES:
            found.append(too_long(path.child(field), VALUE_LIMIT_BYTES))
    if attribute.version is not None and not _VERSION.fullmatch(attribute.version):
        detail = "must be a string compatible with semver.org spec 2.0.0"
        found.append(invalid(path.child("version"), attribute.version, detail))
    return found


def validate_pool_name(name: str, path: Path) -> list[FieldError]:
    """Domains joined by slashes."""
    if not name:
        return [required(path)]
    found = [] if len(name) <= 253 else [too_long(path, 253)]
    return found + [invalid(path, part, text) for part in name.split("/") for text in subdomain_name(part)]
