"""JSON Merge Patch: a patch that looks like the object, with null for what is to go. Specified in RFC 7386.

Lists are replaced as a whole. A patch that is no object replaces everything.
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
        return copied(patch)
    merged = dict(document) if isinstance(document, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merged(merged.get(key), value)
    return merged
