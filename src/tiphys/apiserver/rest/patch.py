"""Patching: how the three kinds of patch make a new object of the current one. Server-side apply is `apply.py`'s.

The patch is applied to the object's plain JSON; the result goes the way of an update. Specified in "API concepts",
"Patch and apply operations".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from tiphys.apiserver import encoding, strictness
from tiphys.apiserver.rest.apply import without_managers
from tiphys.apiserver.rest.call import APPLY, PATCH_TYPES
from tiphys.apiserver.rest.context import WriteContext
from tiphys.kinds import codec, crd, patch_schema
from tiphys.kinds.crd import CustomResource
from tiphys.kinds.misfits import go_text
from tiphys.kinds.resource import Resource
from tiphys.machinery import errors, field_errors
from tiphys.machinery.field_errors import Path
from tiphys.machinery.patch import json as json_patch
from tiphys.machinery.patch import merge as merge_patch
from tiphys.machinery.patch import strategic
from tiphys.machinery.patch.errors import MalformedPatch, PatchNotApplicable, PatchTooLarge

Change = Callable[[WriteContext, Any], tuple[Any, list[str]]]


def apply_patch(patch_type: str, patch: Any, current: Any, wanted: Any) -> Any:
    """The plain object after a patch. ApiError 400, 413, 415 or 422."""
    try:
        if patch_type == PATCH_TYPES[0]:
            return json_patch.apply(current, patch)
        if patch_type == PATCH_TYPES[1]:
            return merge_patch.apply(current, patch)
        return strategic.apply(current, patch, patch_schema.of_type(wanted))
    except PatchTooLarge as error:
        raise errors.ApiError(413, "RequestEntityTooLarge", str(error)) from error
    except PatchNotApplicable as error:
        raise errors.ApiError(
            422, "Invalid", f"the server rejected our request due to an error in our request: {error}"
        ) from error
    except MalformedPatch as error:
        raise errors.bad_request(str(error)) from error


def check_type(patch_type: str, resource: Resource) -> None:
    """ApiError 415 for a patch that is of no kind served."""
    accepted = crd.PATCH_TYPES if isinstance(resource, CustomResource) else (*PATCH_TYPES, APPLY)
    if patch_type not in accepted:
        raise errors.unsupported_media_type(accepted)


def touches_managers(patch_type: str, patch: Any) -> bool:
    """Whether a patch says something about metadata.managedFields, which are left alone otherwise."""
    if patch_type != PATCH_TYPES[0]:
        metadata = patch.get("metadata") if isinstance(patch, dict) else None
        return isinstance(metadata, dict) and "managedFields" in metadata
    return not isinstance(patch, list) or any(_may_touch_managers(step) for step in patch)


def _may_touch_managers(step: Any) -> bool:
    if not isinstance(step, dict):
        return True
    places = [step.get("path"), *([step["from"]] if "from" in step else [])]
    return any(
        not isinstance(place, str) or place in ("", "/metadata") or place.startswith("/metadata/managedFields")
        for place in places
    )


def prepare(patch_type: str, patch: Any, field_validation: str = "", repeated: Sequence[str] = ()) -> Change:
    """The change that a patch means, of a type that was checked; `repeated` is what to say of keys that it has twice.
    ApiError 400."""
    if patch_type != PATCH_TYPES[0] and not isinstance(patch, dict):
        raise errors.bad_request("a merge patch is an object")

    def change(context: WriteContext, old: Any) -> tuple[Any, list[str]]:
        return patched(context, patch_type, patch, old, field_validation, repeated)

    return change


def patched(
    context: WriteContext, patch_type: str, patch: Any, old: Any, field_validation: str, repeated: Sequence[str] = ()
) -> tuple[Any, list[str]]:
    """The object after the patch (its resourceVersion is the current one unless the patch names another)."""
    wanted = type(old)
    current = codec.plain(old if touches_managers(patch_type, patch) else without_managers(old))
    plain = apply_patch(patch_type, patch, current, wanted)
    if not isinstance(plain, dict):
        raise errors.bad_request("the patched object is no object")
    unknown = strictness.unknown_fields(plain, wanted) if field_validation != "Ignore" else []
    warnings = encoding.strictness_outcome([*repeated, *unknown], field_validation)
    try:
        return encoding.typed(plain, wanted, old.apiVersion, old.kind), warnings
    except encoding.DoesNotFit as error:
        raise _unfit(patch_type, patch, plain, error) from error


def _unfit(patch_type: str, patch: Any, plain: Any, error: encoding.DoesNotFit) -> errors.ApiError:
    """What the patch makes is no object: said of the patch itself where it is merged by type, else of the result."""
    strategically = patch_type == PATCH_TYPES[2] and error.misfit is not None
    shown = go_text(patch) if strategically else msgspec.json.encode(plain).decode()
    detail = error.misfit.restore_text() if strategically and error.misfit is not None else str(error)
    return errors.invalid("", "", "", [field_errors.invalid(Path("patch"), shown, detail)])
