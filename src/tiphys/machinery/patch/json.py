"""JSON Patch: a list of operations on an object, all of which apply or none. Specified in RFC 6902 and RFC 6901.

Three habits of Kubernetes go beyond the RFC, as clients rely on them: negative indexes count from the end of a list,
`test` for null passes where the last key of the path is missing, and the number of operations and the bytes that `copy`
adds are limited.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tiphys.machinery import go_text
from tiphys.machinery.patch.errors import NESTED_TOO_DEEP, MalformedPatch, PatchNotApplicable, PatchTooLarge
from tiphys.machinery.patch.values import copied, equal, size_bytes

OPERATIONS_LIMIT = 10_000
COPY_LIMIT_BYTES = 3 * 1024 * 1024

_INDEX = re.compile(r"-?(0|[1-9][0-9]*)")
_MISSING: Any = object()


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation: `path` and `origin` (its "from") are pointers; `value` is what to add, replace with or test
    for."""

    name: str
    path: str
    origin: str = ""
    value: Any = None


def parse(patch: Any) -> list[Operation]:
    """The operations of a patch, checked for their form alone. MalformedPatch, PatchTooLarge."""
    if patch is None:
        return []
    if not isinstance(patch, list):
        found = go_text.json_name(patch)
        raise MalformedPatch(
            f"error decoding patch: json: cannot unmarshal {found} into Go value of type []handlers.jsonPatchOp"
        )
    if len(patch) > OPERATIONS_LIMIT:
        raise PatchTooLarge(f"The allowed maximum operations in a JSON patch is {OPERATIONS_LIMIT}, got {len(patch)}")
    return [_operation(index, entry) for index, entry in enumerate(patch)]


def _operation(index: int, entry: Any) -> Operation:
    if not isinstance(entry, Mapping):
        raise MalformedPatch(f"operation {index} of the JSON patch is not an object")
    name = entry.get("op")
    if not isinstance(name, str) or name not in _APPLIED:
        raise MalformedPatch(f"Unexpected kind: {name if isinstance(name, str) else 'unknown'}")
    path = entry.get("path")
    if not isinstance(path, str):
        raise MalformedPatch(f'operation {index} ({name}) of the JSON patch has no "path"')
    origin = entry.get("from", "")
    if name in ("move", "copy") and not isinstance(entry.get("from"), str):
        raise MalformedPatch(f'operation {index} ({name}) of the JSON patch has no "from"')
    if name in ("add", "replace", "test") and "value" not in entry:
        raise MalformedPatch(f'operation {index} ({name}) of the JSON patch has no "value"')
    for pointer in (path, origin if name in ("move", "copy") else ""):
        if pointer and not pointer.startswith("/"):
            raise PatchNotApplicable(f'operation {index} ({name}) of the patch: "{pointer}" does not begin with "/"')
    return Operation(name, path, origin if isinstance(origin, str) else "", entry.get("value"))


def apply(document: Any, patch: Any) -> Any:
    """The patched document; `document` stays as it is. MalformedPatch, PatchTooLarge, PatchNotApplicable."""
    return apply_operations(document, parse(patch))


def apply_operations(document: Any, operations: Sequence[Operation]) -> Any:
    """As `apply`, for operations that were parsed before."""
    try:
        work = _Work(copied(document))
        for operation in operations:
            _APPLIED[operation.name](work, operation)
    except RecursionError:
        raise PatchTooLarge(NESTED_TOO_DEEP) from None
    return work.document


def tokens(pointer: str) -> list[str]:
    """The steps of a JSON pointer."""
    return [token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:]]


class _Work:
    """The document under way, owned by the patch alone."""

    __slots__ = ("copied_bytes", "document")

    def __init__(self, document: Any) -> None:
        self.document = document
        self.copied_bytes = 0

    def container(self, operation: Operation, pointer: str) -> tuple[Any, str]:
        """The map or list that holds the last step of a pointer, and that step."""
        *parents, last = tokens(pointer)
        found = self.document
        for token in parents:
            found = _member(found, token)
        if not isinstance(found, (dict, list)):
            raise _not_applicable(operation, f'doc is missing path: "{pointer}"')
        return found, last

    def read(self, operation: Operation, pointer: str) -> Any:
        if not pointer:
            return self.document
        container, last = self.container(operation, pointer)
        found = _member(container, last)
        if found is _MISSING:
            raise _not_applicable(operation, f"doc is missing key: {pointer}")
        return found

    def add(self, operation: Operation, value: Any) -> None:
        if not operation.path:
            self.document = value
            return
        container, last = self.container(operation, operation.path)
        if isinstance(container, dict):
            container[last] = value
            return
        position = len(container) if last == "-" else _position(last, len(container) + 1)
        if position is None:
            raise PatchNotApplicable(
                f"error in {operation.name} for path: '{operation.path}': "
                f"Unable to access invalid index: {last}: invalid index referenced"
            )
        container.insert(position, value)

    def remove(self, operation: Operation, pointer: str) -> None:
        if not pointer:
            self.document = None
            return
        container, last = self.container(operation, pointer)
        if _member(container, last) is _MISSING:
            reason = (
                "Unable to remove nonexistent key" if isinstance(container, dict) else "Unable to access invalid index"
            )
            raise PatchNotApplicable(f"error in remove for path: '{pointer}': {reason}: {last}: missing value")
        if isinstance(container, dict):
            del container[last]
        else:
            del container[_existing_position(container, last)]


def _not_applicable(operation: Operation, reason: str) -> PatchNotApplicable:
    return PatchNotApplicable(f"{operation.name} operation does not apply: {reason}: missing value")


def _position(token: str, length: int) -> int | None:
    """Where in a list of this length an index points; None when outside or no index at all."""
    if not _INDEX.fullmatch(token) or token == "-0":
        return None
    position = int(token)
    if position < 0:
        position += length
    return position if 0 <= position < length else None


def _existing_position(container: list[Any], token: str) -> int:
    position = _position(token, len(container))
    assert position is not None
    return position


def _member(container: Any, token: str) -> Any:
    if isinstance(container, dict):
        return container.get(token, _MISSING)
    if isinstance(container, list):
        position = _position(token, len(container))
        return _MISSING if position is None else container[position]
    return _MISSING


def _add(work: _Work, operation: Operation) -> None:
    work.add(operation, copied(operation.value))


def _remove(work: _Work, operation: Operation) -> None:
    work.remove(operation, operation.path)


def _replace(work: _Work, operation: Operation) -> None:
    work.read(operation, operation.path)
    if not operation.path:
        work.document = copied(operation.value)
        return
    container, last = work.container(operation, operation.path)
    key = last if isinstance(container, dict) else _existing_position(container, last)
    container[key] = copied(operation.value)


def _move(work: _Work, operation: Operation) -> None:
    if operation.path.startswith(operation.origin + "/"):
        raise PatchNotApplicable(f"move operation does not apply: '{operation.origin}' cannot be moved into itself")
    value = work.read(operation, operation.origin)
    if operation.path == operation.origin:
        return
    work.remove(operation, operation.origin)
    work.add(operation, value)


def _copy(work: _Work, operation: Operation) -> None:
    value = work.read(operation, operation.origin)
    work.copied_bytes += size_bytes(value, COPY_LIMIT_BYTES)
    if work.copied_bytes > COPY_LIMIT_BYTES:
        raise PatchTooLarge(
            f"Unable to copy, the accumulated size increase of copy is {work.copied_bytes}, "
            f"exceeding the limit {COPY_LIMIT_BYTES}"
        )
    work.add(operation, copied(value))


def _test(work: _Work, operation: Operation) -> None:
    if not operation.path:
        found = work.document
    else:
        found = _member(*work.container(operation, operation.path))
        if found is _MISSING and operation.value is None:
            return
    if found is _MISSING or not equal(found, operation.value):
        raise PatchNotApplicable(f"testing value {operation.path} failed: test failed")


_APPLIED: Mapping[str, Callable[[_Work, Operation], None]] = {
    "add": _add,
    "remove": _remove,
    "replace": _replace,
    "move": _move,
    "copy": _copy,
    "test": _test,
}
