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
from tiphys.kinds.resource import Resource
from tiphys.kinds.unstructured import Unstructured
from tiphys.machinery import errors, go_text
from tiphys.machinery.field_errors import Path, invalid
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
        raise errors.ApiError(413, "RequestEntityTooLarge", f"Request entity too large: {error}") from error
    except PatchNotApplicable as error:
        raise errors.ApiError(
            422, "Invalid", "the server rejected our request due to an error in our request"
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
        if patch is None:
            raise errors.bad_request("Invalid JSON Patch")
        found = go_text.json_name(patch)
        raise errors.bad_request(
            f"error decoding patch: json: cannot unmarshal {found} into Go value of type map[string]interface {{}}"
        )

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
    warnings = [*repeated, *unknown] if field_validation != "Ignore" else []
    if warnings and field_validation == "Strict":
        raise _unreadable(plain, old, encoding.strict_words(warnings))
    if isinstance(old, Unstructured) and not plain.get("kind"):
        raise _unreadable(plain, old, f"Object 'Kind' is missing in '{_whole(plain, old)}'")
    if isinstance(old, Unstructured) and str(plain.get("apiVersion")).count("/") > 1:
        raise _unreadable(plain, old, f"unexpected GroupVersion string: {plain['apiVersion']}")
    try:
        new = encoding.typed(plain, wanted, old.apiVersion, old.kind)
    except encoding.DoesNotFit as error:
        if patch_type == PATCH_TYPES[2] and error.misfit is not None:  # merged by type: the patch itself does not fit
            raise _refused(go_text.plain(patch), error.misfit.restore_text()) from error
        raise _unreadable(plain, old, str(error)) from error
    if isinstance(new, Unstructured) and (malformed := new.malformed()):
        raise _unreadable(plain, old, malformed)
    if context.subresource != "scale" and new.metadata.uid and new.metadata.uid != old.metadata.uid:
        wrong = invalid(Path("metadata.uid"), new.metadata.uid, "field is immutable")
        raise errors.invalid(old.kind, context.resource.group, context.name, [wrong])
    return new, warnings


def _unreadable(plain: dict[str, Any], old: Any, detail: str) -> errors.ApiError:
    """The patched object is none of its kind."""
    return _refused(_whole(plain, old), detail)


def _whole(plain: dict[str, Any], old: Any) -> str:
    """The patched object with all that the patch left alone."""
    metadata, managers = plain.get("metadata"), old.metadata.managedFields
    if isinstance(metadata, dict) and managers:
        plain = {**plain, "metadata": {"managedFields": managers, **metadata}}
    encoded = msgspec.json.encode(plain, enc_hook=codec.encode_scalar, order="sorted")
    return encoded.decode() if isinstance(old, Unstructured) else codec.encode(plain).decode()


def _refused(shown: str, detail: str) -> errors.ApiError:
    return errors.invalid("", "", "", [invalid(Path("patch"), shown, detail)])
