"""Whether the attributes of a device are well formed: one value each, or one list of values of a kind."""

from __future__ import annotations

import re

from tiphys.kinds.resource_api.bounded_lists import validate_list
from tiphys.kinds.types.resource_v1 import Device, DeviceAttribute
from tiphys.machinery.field_errors import FieldError, Path, invalid, too_long

VALUE_LIMIT_BYTES = 64
SINGLE, LISTED = ("int", "bool", "string", "version"), ("ints", "bools", "strings", "versions")
_CHOICE = ", ".join(f"`{name}`" for name in SINGLE + LISTED)
_NUMBER = r"(0|[1-9]\d*)"
_PART = r"(0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*)"
_VERSION = re.compile(
    rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(-{_PART}(\.{_PART})*)?(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?", re.ASCII
)


def _given(attribute: DeviceAttribute, names: tuple[str, ...]) -> dict[str, object]:
    fields = {field.rstrip("_"): getattr(attribute, field) for field in attribute.__struct_fields__}
    return {name: fields[name] for name in names if fields[name] is not None}


def has_lists(device: Device) -> bool:
    return any(_given(attribute, LISTED) for attribute in (device.attributes or {}).values())


def values_count(device: Device) -> int:
    """Each item of a list counts; an attribute without any counts once."""
    lists = [_given(attribute, LISTED).values() for attribute in (device.attributes or {}).values()]
    return sum(sum(len(items) for items in found) or 1 for found in lists)  # type: ignore[misc,arg-type]


def validate_attribute(attribute: DeviceAttribute, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    if attribute.string is not None:
        found += _text_findings(attribute.string, path.child("string"))
    if attribute.version is not None:
        found += _version_findings(attribute.version, path.child("version"))
    listed = _given(attribute, LISTED)
    found += [invalid(path.child(name), [], "must not be empty if specified") for name, v in listed.items() if not v]
    found += validate_list(attribute.strings, None, _text_findings, path.child("strings"))
    found += validate_list(attribute.versions, None, _version_findings, path.child("versions"))
    given = [*_given(attribute, SINGLE), *listed]
    if not given:
        found.append(invalid(path, "", f"must specify one of: {_CHOICE}"))
    elif len(given) > 1:
        found.append(invalid(path, f"{{{', '.join(given)}}}", f"must specify exactly one of: {_CHOICE}"))
    return found


def _text_findings(value: str, path: Path) -> list[FieldError]:
    return [too_long(path, VALUE_LIMIT_BYTES)] if len(value.encode()) > VALUE_LIMIT_BYTES else []


def _version_findings(value: str, path: Path) -> list[FieldError]:
    detail = "must be a string compatible with semver.org spec 2.0.0"
    found = [] if _VERSION.fullmatch(value) else [invalid(path, value, detail)]
    return found + _text_findings(value, path)
