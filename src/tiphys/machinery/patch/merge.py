"""JSON Merge Patch: a patch that looks like the object, with null for what is to go. Specified in RFC 7386.

Lists are replaced as a whole. A patch that is no object replaces everything. What is put where no object was holds no
null members, not even in objects within lists: there Kubernetes goes further than the RFC.
"""

from __future__ import annotations

from typing import Any

from tiphys.machinery.patch.errors import NESTED_TOO_DEEP, PatchTooLarge
from tiphys.machinery.patch.values import copied


def apply(document: Any, patch: Any) -> Any:
    """The patched document; neither argument is changed, and the result shares what the patch does not touch.
    PatchTooLarge."""
    try:
        return _merged(document, patch)
    except RecursionError:
        raise PatchTooLarge(NESTED_TOO_DEEP) from None


def _merged(document: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return copied(patch) if isinstance(document, dict) else _without_nulls(patch)
    merged = dict(document) if isinstance(document, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merged(merged.get(key), value)
    return merged


def _without_nulls(value: Any) -> Any:
    """A copy without the members that are null; lists keep their nulls."""
    if isinstance(value, dict):
        return {key: _without_nulls(member) for key, member in value.items() if member is not None}
    return [_without_nulls(member) for member in value] if isinstance(value, list) else value
