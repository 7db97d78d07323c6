"""What is asked of a conversion webhook, and what its answer means. Specified in "Versions in
CustomResourceDefinitions", "Webhook conversion".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from tiphys.kinds import codec
from tiphys.kinds.crd import CustomResource
from tiphys.kinds.unstructured import Unstructured
from tiphys.machinery import errors

REVIEW_VERSIONS = ("v1", "v1beta1")
# What a conversion may change of the metadata.
_FREE = ("labels", "annotations")


class Unusable(Exception):
    """The webhook's answer cannot be used; the text says why."""


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
    """The converted objects, pruned and with the defaults of their new version. Unusable."""
    try:
        review = msgspec.json.decode(data)
        response = review["response"]
        found, result = response.get("convertedObjects") or [], response.get("result") or {}
    except (msgspec.DecodeError, KeyError, TypeError, AttributeError) as error:
        raise Unusable(f"the answer is no ConversionReview: {error}") from error
    if (review.get("apiVersion"), review.get("kind")) != (f"apiextensions.k8s.io/{version}", "ConversionReview"):
        raise Unusable(f"expected webhook response of apiextensions.k8s.io/{version}, Kind=ConversionReview")
    if response.get("uid") != uid:
        raise Unusable(f'expected response.uid="{uid}", got "{response.get("uid")}"')
    if result.get("status") != "Success":
        raise Unusable(result.get("message") or "unknown reason")
    if len(found) != len(objects):
        raise Unusable(f"webhook returned {len(found)} objects, expected {len(objects)}")
    return [_converted(plain, position, wanted, objects[position]) for position, plain in enumerate(found)]


def _converted(plain: Any, position: int, wanted: CustomResource, old: Unstructured) -> Unstructured:
    where = f"webhook returned invalid converted object at index {position}"
    try:
        new: Unstructured = codec.convert(plain, wanted.struct)
    except (msgspec.ValidationError, ValueError) as error:
        raise Unusable(f"{where}: {error}") from error
    if (new.apiVersion, new.kind) != (wanted.api_version, wanted.kind):
        raise Unusable(f"{where}: invalid groupVersion (expected {wanted.api_version}, received {new.apiVersion})")
    for field in ("name", "namespace", "uid"):
        before, after = getattr(old.metadata, field), getattr(new.metadata, field)
        if (before or "") != (after or ""):
            raise Unusable(f"{where}: invalid metadata.{field}, must be unchanged: {errors_text(before, after)}")
    metadata = {field: getattr(new.metadata, field) for field in _FREE}
    new.metadata = msgspec.structs.replace(old.metadata, **metadata)
    wanted.strategy.default(new)
    return new


def errors_text(before: Any, after: Any) -> str:
    return f'expected "{before or ""}", got "{after or ""}"'


def failed(resource: CustomResource, reason: str) -> errors.ApiError:
    """500 for a request that needs a conversion which cannot be had."""
    return errors.internal(f"conversion webhook for {resource.api_version}, Kind={resource.kind} failed: {reason}")
