"""Which entries a list answers with: the state asked for by resourceVersion, the page asked for by limit and continue.

A continue token is opaque to clients: the revision of the first page and the key to go on after, so that all pages show
one state. Specified in "API concepts", "Resource versions" and "Retrieving large results sets in chunks".
"""

from __future__ import annotations

import base64
import binascii
import posixpath
import re
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from tiphys.apiserver.forms import ListHead
from tiphys.apiserver.request import integer
from tiphys.apiserver.selection import Selection
from tiphys.apiserver.watch_cache import Collection, Entry, WindowExceeded
from tiphys.machinery import errors, field_errors
from tiphys.machinery.digits import is_number
from tiphys.machinery.field_errors import Path

TOO_OLD_TOKEN = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. "
    "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or "
    "deleted between the time the first chunk was returned and now may show up in the list."
)
TOO_OLD_LIST = "The resourceVersion for the provided list is too old."


_MATCH = Path("resourceVersionMatch")
_NO_BASE64 = re.compile("[^A-Za-z0-9_-]")


class _Token(msgspec.Struct):
    v: str = ""
    rv: int = 0
    start: str = ""


class ContinueExpired(errors.ApiError):
    """410 with a token to go on with inconsistently."""

    def __init__(self, token: str) -> None:
        super().__init__(410, "Expired", TOO_OLD_TOKEN)
        self.token = token

    def status(self) -> dict[str, Any]:
        return {**super().status(), "metadata": {"continue": self.token}}


@dataclass(frozen=True, slots=True, kw_only=True)
class ListQuery:
    """`revision` None: the latest state; `exact`: that state and no later one. `after`: the key to go on after."""

    limit: int = 0
    revision: int | None = None
    exact: bool = False
    after: str = ""
    continued: bool = False


def encode_token(revision: int, after: str) -> str:
    """Revision -1 means: whatever the state is then."""
    data = msgspec.json.encode(_Token(v="meta.k8s.io/v1", rv=revision, start=after))
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def decode_token(token: str) -> tuple[int, str]:
    """(revision, key to go on after). ApiError 400."""
    if (position := _corrupt_at(token)) is not None:
        detail = f"continue key is not valid: illegal base64 data at input byte {position}"
        raise errors.bad_request(f"invalid continue token: {detail}")
    try:
        data = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        found = msgspec.json.decode(data, type=_Token)
    except (binascii.Error, ValueError, msgspec.MsgspecError) as error:
        raise errors.bad_request(f"invalid continue token: continue key is not valid: {error}") from error
    if found.start != posixpath.normpath("/" + found.start).removeprefix("/"):
        raise errors.bad_request(f"invalid continue token: continue key is not valid: {found.start}")
    if found.v != "meta.k8s.io/v1":
        detail = f'continue key is not valid: server does not recognize this encoded version "{found.v}"'
        raise errors.bad_request(f"invalid continue token: {detail}")
    if not found.rv:
        detail = f"continue key is not valid: incorrect encoded start resourceVersion (version {found.v})"
        raise errors.bad_request(f"invalid continue token: {detail}")
    if not found.start:
        detail = f"continue key is not valid: encoded start key empty (version {found.v})"
        raise errors.bad_request(f"invalid continue token: {detail}")
    return found.rv, found.start


def _corrupt_at(token: str) -> int | None:
    """Where a token stops being base64 (of the alphabet for URLs, without padding)."""
    found = _NO_BASE64.search(token)
    if found is not None:
        return found.start()
    return len(token) - 1 if len(token) % 4 == 1 else None


def parse_revision(text: str) -> int:
    """A resourceVersion parameter. ApiError 400."""
    fault = "invalid syntax"
    if is_number(text):
        if len(text) <= 20 and int(text) < 1 << 64:
            return int(text)
        fault = "value out of range"
    detail = f'resourceVersion: Invalid value: "{text}": strconv.ParseUint: parsing "{text}": {fault}'
    raise errors.bad_request(f"invalid resource version: {detail}")


def parse_limit(query: Mapping[str, str]) -> int:
    """The most entries in an answer; 0 for all. ApiError 400."""
    return max(integer(query.get("limit", "0")), 0)


def _options_invalid(*findings: field_errors.FieldError) -> errors.ApiError:
    return errors.invalid("ListOptions", "meta.k8s.io", "", findings)


def check_match(query: Mapping[str, str], watch: bool) -> None:
    """Whether resourceVersionMatch and sendInitialEvents make sense together. ApiError 422 with all that does not."""
    if "resourceVersionMatch" not in query and "sendInitialEvents" not in query:
        return
    findings = _watch_findings(query) if watch else _list_findings(query)
    if findings:
        raise _options_invalid(*findings)


def _list_findings(query: Mapping[str, str]) -> list[field_errors.FieldError]:
    match, version, path = query.get("resourceVersionMatch", ""), query.get("resourceVersion", ""), _MATCH
    found = []
    if match:
        if not version:
            detail = "resourceVersionMatch is forbidden unless resourceVersion is provided"
            found.append(field_errors.forbidden(path, detail))
        if query.get("continue"):
            found.append(field_errors.forbidden(path, "resourceVersionMatch is forbidden when continue is provided"))
        if match not in ("Exact", "NotOlderThan"):
            found.append(field_errors.not_supported(path, match, ["Exact", "NotOlderThan", ""]))
        if match == "Exact" and version == "0":
            detail = 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
            found.append(field_errors.forbidden(path, detail))
    if "sendInitialEvents" in query:
        found.append(field_errors.forbidden(Path("sendInitialEvents"), "sendInitialEvents is forbidden for list"))
    return found


def _watch_findings(query: Mapping[str, str]) -> list[field_errors.FieldError]:
    match, path, asked = query.get("resourceVersionMatch", ""), _MATCH, "sendInitialEvents" in query
    found = []
    if asked and match != "NotOlderThan":
        detail = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        found.append(field_errors.forbidden(path, detail))
    if match:
        if not asked:
            detail = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
            found.append(field_errors.forbidden(path, detail))
        if match != "NotOlderThan":
            found.append(field_errors.not_supported(path, match, ["NotOlderThan"]))
        if query.get("continue"):
            found.append(field_errors.forbidden(path, "resourceVersionMatch is forbidden when continue is provided"))
    return found


def parse(query: Mapping[str, str]) -> ListQuery:
    """The list that query parameters ask for. ApiError 400 or 422."""
    check_match(query, watch=False)
    limit = parse_limit(query)
    integer(query.get("timeoutSeconds") or "0")  # no list takes that long, but what it says must be a number
    version, token = query.get("resourceVersion", ""), query.get("continue", "")
    if token:
        revision, after = decode_token(token)
        if version not in ("", "0"):
            raise errors.bad_request("specifying resource version is not allowed when using continue")
        known = revision if revision >= 0 else None
        return ListQuery(limit=limit, revision=known, exact=known is not None, after=after, continued=True)
    if version in ("", "0"):
        if version:
            parse_revision(version)
        return ListQuery(limit=limit)
    match = query.get("resourceVersionMatch", "")
    exact = match == "Exact" or (not match and limit > 0)
    return ListQuery(limit=limit, revision=parse_revision(version), exact=exact)


def state(
    collection: Collection,
    current: int,
    selection: Selection,
    query: ListQuery,
    history: Callable[[int], Sequence[Entry] | None] | None = None,
) -> tuple[Sequence[Entry], int]:
    """The entries that the answer is chosen from, and their revision. `current` is the revision up to which the
    collection is complete; `history(revision)` gives an older state than the window holds, None when it is gone;
    without it such a state is WindowExceeded. ApiError 410 or 504."""
    if query.revision is not None and query.revision > current:
        raise errors.too_large_resource_version(query.revision, current)
    revision = query.revision if query.exact and query.revision is not None else current
    if query.exact and revision < current:
        entries = _state(collection, selection, query, revision, history)
    else:
        entries = _latest(collection, selection)
    if query.after:
        entries = entries[bisect_right(entries, query.after, key=lambda entry: entry.key) :]
    return entries, revision


def chosen(
    entries: Sequence[Entry], selection: Selection, query: ListQuery, revision: int
) -> tuple[Sequence[Entry], ListHead]:
    """The entries of the answer and its metadata."""
    if not query.limit:
        return selection.of(entries), ListHead(revision)
    return _page(entries, selection, query.limit, revision)


def _latest(collection: Collection, selection: Selection) -> Sequence[Entry]:
    if selection.name and selection.namespace:
        entry = collection.get(selection.namespace, selection.name)
        return [entry] if entry is not None else []
    return collection.entries(selection.namespace)


def _state(
    collection: Collection,
    selection: Selection,
    query: ListQuery,
    revision: int,
    history: Callable[[int], Sequence[Entry] | None] | None,
) -> Sequence[Entry]:
    try:
        return collection.entries_at(revision, selection.namespace)
    except WindowExceeded:
        if history is None:
            raise
        found = history(revision)
        if found is not None:
            return found
        if query.continued:
            raise ContinueExpired(encode_token(-1, query.after)) from None
        raise errors.expired(TOO_OLD_LIST) from None


def _page(
    entries: Sequence[Entry], selection: Selection, limit: int, revision: int
) -> tuple[Sequence[Entry], ListHead]:
    if selection.whole:
        page = entries[:limit]
        left = len(entries) - len(page)
        if not left:
            return page, ListHead(revision)
        return page, ListHead(revision, encode_token(revision, page[-1].key), left)
    page = []
    for entry in entries:
        if selection.matches(entry):
            if len(page) == limit:
                return page, ListHead(revision, encode_token(revision, page[-1].key))
            page.append(entry)
    return page, ListHead(revision)
