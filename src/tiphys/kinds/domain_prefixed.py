"""Names with a domain in front, such as `example.com/controller`: who serves an object, by the domain's own naming."""

from __future__ import annotations

from tiphys.kinds.object_meta import subdomain_name
from tiphys.machinery.field_errors import FieldError, Path, invalid, required
from tiphys.machinery.names import http_path


def domain_prefixed_findings(text: str, path: Path) -> list[FieldError]:
    if not text:
        return [required(path)]
    domain, _, rest = text.partition("/")
    if not domain or not rest:
        return [invalid(path, text, 'must be a domain-prefixed path (such as "acme.io/foo")')]
    found = [invalid(path, domain, message) for message in subdomain_name(domain)]
    return found + [invalid(path, rest, message) for message in http_path(rest)]
