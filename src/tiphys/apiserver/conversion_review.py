"""What is asked of a conversion webhook, and what its answer means. Specified in "Versions in
CustomResourceDefinitions", "Webhook conversion".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from tiphys.kinds import codec
from tiphys.kinds.crd import CustomResource
from tiphys.kinds.unstructured import HEAD, Unstructured
from tiphys.machinery import errors, go_text

REVIEW_VERSIONS = ("v1", "v1beta1")
# What a conversion may change of the metadata, and what nobody but it would think of changing.
_FREE = ("labels", "annotations")
_SAME = (("name", "name"), ("namespace", "namespace"), ("uid", "UID"))
NO_SUCCESS = "response.result.status was '{}', not 'Success'"


class Unusable(Exception):
    """The webhook's answer cannot be used; the text goes on with what is wrong of the webhook."""


def review_version(accepted: Sequence[str]) -> str:
    """The version of the review to speak: the first that both sides know."""
    return next(version for version in accepted if version in REVIEW_VERSIONS)


def request(version: str, uid: str, wanted: str, objects: Sequence[Unstructured]) -> bytes:
    """The body of a ConversionReview that asks for some objects in the apiVersion `wanted`."""
    return codec.encode(
        {
            "apiVersion": f"apiextensions.k8s.io/{version}",
            "kind": "ConversionReview",
            "request": {"uid": uid, "desiredAPIVersion": wanted, "objects": list(objects)},
        }
    )


def answer(
    data: bytes, version: str, uid: str, wanted: CustomResource, objects: Sequence[Unstructured]
) -> list[Unstructured]:
    """The converted objects, pruned by the schema of their new version. Unusable."""
    try:
        review = msgspec.json.decode(data)
        response = review["response"]
        found, result = response.get("convertedObjects") or [], response.get("result") or {}
    except KeyError:
        raise Unusable("failed: no response provided") from None
    except (msgspec.DecodeError, TypeError, AttributeError) as error:
        raise Unusable(f"failed: the answer is no ConversionReview: {error}") from error
    if (review.get("apiVersion"), review.get("kind")) != (f"apiextensions.k8s.io/{version}", "ConversionReview"):
        raise Unusable(f"failed: expected webhook response of apiextensions.k8s.io/{version}, Kind=ConversionReview")
    if response.get("uid") != uid:
        raise Unusable(f'failed: expected response.uid="{uid}", got "{response.get("uid") or ""}"')
    status = result.get("status") or ""
    if status != "Success":
        raise Unusable(f"failed: {result.get('message') or NO_SUCCESS.format(status)}")
    if len(found) != len(objects):
        raise Unusable(f"returned {len(found)} objects, expected {len(objects)}")
    for position, plain in enumerate(found):
        _check_type(plain, position, wanted)
    return [_converted(plain, wanted, old) for plain, old in zip(found, objects, strict=True)]


def _check_type(plain: Any, position: int, wanted: CustomResource) -> None:
    where = f"returned invalid object at index {position}"
    if not isinstance(plain, dict):
        raise Unusable(f"{where}: it is no object")
    for name, said, must in (
        ("groupVersion", plain.get("apiVersion"), wanted.api_version),
        ("kind", plain.get("kind"), wanted.kind),
    ):
        if said != must:
            raise Unusable(f"{where}: invalid {name} (expected {must}, received {said or ''})")


def _converted(plain: dict[str, Any], wanted: CustomResource, old: Unstructured) -> Unstructured:
    """The old metadata with the new labels and annotations; the content as the version's schema has it."""
    given = plain.get("metadata")
    metadata = given if isinstance(given, dict) else {}
    for field, called in _SAME:
        before, after = getattr(old.metadata, field) or "", metadata.get(field) or ""
        if before != after:
            raise Unusable(f"returned invalid object: must have the same {called}: {before} != {after}")
    free = {field: metadata.get(field) for field in _FREE}
    for field, value in free.items():
        if not isinstance(value or {}, dict) or not all(isinstance(text, str) for text in (value or {}).values()):
            kind = go_text.type_name(value)
            raise Unusable(f"returned invalid metadata: invalid metadata.{field} of type {kind} in converted object")
    new = wanted.struct(
        metadata=msgspec.structs.replace(old.metadata, **{field: value or None for field, value in free.items()}),
        content={name: value for name, value in plain.items() if name not in HEAD},
    )
    wanted.settle(new)
    return new


def failed(source: Unstructured, what: str) -> errors.ApiError:
    """500 for a request that needs the conversion of an object which cannot be had; no reason is given."""
    return errors.ApiError(500, "", f"conversion webhook for {source.apiVersion}, Kind={source.kind} {what}")
