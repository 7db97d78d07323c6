"""What a request asks for, read from its method, path and query: a verb on a resource, or a plain path.

Everything here is text work; whether the resource exists and the user may do it is decided elsewhere. Specified in "API
concepts", "Resource URIs" and "Determine the request verb".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, unquote

import msgspec

from tiphys.machinery import errors, fields
from tiphys.machinery.bounded_cache import bounded_cache

# OPTIONS, which only a proxied server may understand, is no verb: who may do everything may ask.
_VERBS = {
    "GET": "get", "HEAD": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete", "OPTIONS": "",
}  # fmt: skip
_INTEGER = re.compile(r"[-+]?[0-9]+")
_SEPARATOR = re.compile("/|%2[Ff]")
_MALFORMED_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2}).{0,2}")
_NAMESPACE_SUBRESOURCES = frozenset({"status", "finalize"})


class RequestInfo(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """`verb` is the API verb for resource requests and the lower-case method for others. `rest` is what follows the
    subresource in the path (of proxies), with its leading slash."""

    verb: str
    path: str
    is_resource: bool = False
    group: str = ""
    version: str = ""
    namespace: str = ""
    resource: str = ""
    name: str = ""
    subresource: str = ""
    rest: str = ""
    legacy_watch: bool = False


class RequestTarget(msgspec.Struct, frozen=True, gc=False):
    """What a request line says. `is_long_running`: it has no time limit and does not count as in flight."""

    info: RequestInfo
    query: Mapping[str, str]
    is_long_running: bool


@bounded_cache(8192)
def parse_target(method: str, path: str, query: str) -> RequestTarget:
    """`path` and `query` as sent, still percent-encoded. ApiError 400."""
    if found := malformed_escape(path):
        raise errors.bad_request(f'invalid URL escape "{found}"')
    parameters = parse_query(query)
    info = parse_path(method, path, flag(parameters, "watch"), _named(parameters))
    return RequestTarget(info, parameters, is_long_running(info, parameters))


def _named(query: Mapping[str, str]) -> str:
    """The name that a field selector pins, for authorization; a selector that cannot be read is refused later."""
    if "fieldSelector" not in query:
        return ""
    try:
        return fields.parse(query["fieldSelector"]).exact_match("metadata.name") or ""
    except ValueError:
        return ""


@bounded_cache(4096)
def parse_query(query: str) -> Mapping[str, str]:
    """The query parameters; of repeated ones the first. Cached: not to be changed."""
    found: dict[str, str] = {}
    if query:
        for key, value in parse_qsl(query, keep_blank_values=True):
            found.setdefault(key, value)
    return found


def flag(query: Mapping[str, str], name: str) -> bool:
    """A boolean parameter as the API reads it: there and neither empty-less false nor 0."""
    value = query.get(name)
    return value is not None and value.lower() not in ("false", "0")


def _parts(path: str) -> tuple[str, str, list[str]] | None:
    """(group, version, what follows) of a resource path; None for any other."""
    pieces = path.split("/")[1:]
    if len(pieces) > 2 and pieces[0] == "api":
        return "", pieces[1], pieces[2:]
    if len(pieces) > 3 and pieces[0] == "apis":
        return pieces[1], pieces[2], pieces[3:]
    return None


def integer(text: str) -> int:
    """A whole number in a query: ASCII digits with or without a sign, of 64 bits. ApiError 400."""
    if _INTEGER.fullmatch(text) is None:
        raise errors.bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    if len(text) > 20 or not -(1 << 63) <= int(text) < 1 << 63:
        raise errors.bad_request(f'strconv.ParseInt: parsing "{text}": value out of range')
    return int(text)


def malformed_escape(path: str) -> str:
    """The first `%` in a path that encodes no byte, and what follows it; "" when there is none."""
    found = _MALFORMED_ESCAPE.search(path) if "%" in path else None
    return found[0] if found is not None else ""


def parse_path(method: str, path: str, watch: bool, named: str) -> RequestInfo:
    """`path` without the query, still percent-encoded (an encoded slash separates like any other). `watch`: the query
    asks to watch; `named`: the name that a field selector pins (it takes part in authorization)."""
    decoded = unquote(path)
    found = _parts(decoded)
    if found is None or found[2] == [""]:
        return RequestInfo(verb=method.lower(), path=decoded)
    group, version, raw = found
    legacy_watch = bool(raw) and raw[0] == "watch"
    if legacy_watch:
        raw = raw[1:]
        if not raw:
            return RequestInfo(verb=method.lower(), path=decoded)
    namespace, resource, tail = _placed(raw)
    name = tail[0] if tail else ""
    subresource = tail[1] if len(tail) > 1 else ""
    rest = "/" + _as_sent(path, decoded, tail[2:]) if len(tail) > 2 else ""
    verb = _VERBS.get(method, method.lower())
    if not name and verb == "get":
        verb = "watch" if watch or legacy_watch else "list"
        name = named
    elif not name and verb == "delete":
        verb = "deletecollection"
        name = named
    elif legacy_watch and verb == "get":
        verb = "watch"
    return RequestInfo(
        verb=verb,
        path=decoded,
        is_resource=True,
        group=group,
        version=version,
        namespace=namespace,
        resource=resource,
        name=name,
        subresource=subresource,
        rest=rest,
        legacy_watch=legacy_watch,
    )


def _as_sent(path: str, decoded: str, behind: list[str]) -> str:
    """The end of a path, still percent-encoded; `behind` are its pieces, decoded."""
    before = decoded.count("/") - "/".join(behind).count("/")
    return _SEPARATOR.split(path, before)[-1]


def _placed(raw: list[str]) -> tuple[str, str, list[str]]:
    """(namespace, resource, name and what follows). A namespace itself is in the namespace of its name."""
    if len(raw) > 1 and raw[-1] == "" and len(raw) <= 4:
        raw = raw[:-1]
    if raw[0] == "namespaces" and len(raw) > 1:
        if len(raw) > 2 and raw[2] not in _NAMESPACE_SUBRESOURCES:
            return raw[1], raw[2], raw[3:]
        if len(raw) > 3:
            return raw[1], raw[2], raw[3:]
        return raw[1], "namespaces", raw[1:]
    return "", raw[0], raw[1:]


def is_long_running(info: RequestInfo, query: Mapping[str, str]) -> bool:
    """Watches and streams have no time limit and do not count as in flight."""
    if info.verb == "watch":
        return True
    if info.subresource in ("exec", "attach", "portforward", "proxy"):
        return True
    return info.subresource == "log" and flag(query, "follow")
