"""Whether what drivers, pools, devices and their properties are called by is well formed."""

from __future__ import annotations

import re

from tiphys.kinds.object_meta import label_key_findings, label_name, subdomain_name
from tiphys.machinery.field_errors import FieldError, Path, invalid, required, too_long
from tiphys.machinery.names import c_identifier

DRIVER_LIMIT_CHARACTERS, POOL_LIMIT_CHARACTERS = 63, 253
DOMAIN_LIMIT_CHARACTERS, IDENTIFIER_LIMIT_CHARACTERS = 63, 32
QUALIFIED_NAME_LIMIT_CHARACTERS = DOMAIN_LIMIT_CHARACTERS + 1 + IDENTIFIER_LIMIT_CHARACTERS
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
UUID_MESSAGE = (
    "uid must be in RFC 4122 normalized form, `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx` with lowercase hexadecimal"
    " characters"
)


def driver_findings(name: str, path: Path) -> list[FieldError]:
    """A domain, whatever the case of its letters."""
    if not name:
        return [required(path)]
    found = [too_long(path, DRIVER_LIMIT_CHARACTERS)] if len(name) > DRIVER_LIMIT_CHARACTERS else []
    return found + [invalid(path, name, text) for text in subdomain_name(name.lower())]


def driver_warnings(name: str, path: Path) -> list[str]:
    if name == name.lower():
        return []
    return [f'{path}: driver names should be lowercase; "{name}" contains uppercase characters']


def pool_findings(name: str, path: Path) -> list[FieldError]:
    """Domains joined by slashes."""
    if not name:
        return [required(path)]
    found = [too_long(path, POOL_LIMIT_CHARACTERS)] if len(name) > POOL_LIMIT_CHARACTERS else []
    return found + [invalid(path, part, text) for part in name.split("/") for text in subdomain_name(part)]


def short_name_findings(name: str, path: Path) -> list[FieldError]:
    """Of devices, requests, counters: `a-b`."""
    return [invalid(path, name, text) for text in label_name(name)]


def required_short_name_findings(name: str, path: Path) -> list[FieldError]:
    return short_name_findings(name, path) if name else [required(path)]


def node_findings(name: str, path: Path) -> list[FieldError]:
    return [invalid(path, name, text) for text in subdomain_name(name)]


def condition_type_findings(name: str, path: Path) -> list[FieldError]:
    return [invalid(path, name, text) for text in label_key_findings(name)]


def qualified_name_findings(name: str, path: Path) -> list[FieldError]:
    """`domain/identifier`, or the identifier alone, which is in the driver's domain then."""
    domain, slash, identifier = name.partition("/") if "/" in name else ("", "", name)
    if "/" in identifier:
        return [invalid(path, name, "must not contain more than one slash")]
    found: list[FieldError] = []
    if slash and not domain:
        found.append(invalid(path, "", "the domain must not be empty"))
    elif slash:
        found += driver_findings(domain, path)
    if slash and not identifier:
        return [*found, invalid(path, "", "the name must not be empty")]
    if len(identifier) > IDENTIFIER_LIMIT_CHARACTERS:
        found.append(too_long(path, IDENTIFIER_LIMIT_CHARACTERS))
    return found + [invalid(path, identifier, text) for text in c_identifier(identifier)]


def fully_qualified_name_findings(name: str, path: Path) -> list[FieldError]:
    """Like a qualified name, and the domain is there."""
    found = qualified_name_findings(name, path)
    if "/" not in name:
        detail = "a fully qualified name must be a domain and a name separated by a slash"
        found.append(invalid(path, name, detail))
    return found


def share_id_findings(share_id: str | None, path: Path) -> list[FieldError]:
    """A UUID as Kubernetes writes them."""
    if share_id is None or _UUID.fullmatch(share_id):
        return []
    return [invalid(path, share_id, UUID_MESSAGE)]
