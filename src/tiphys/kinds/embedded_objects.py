"""The objects within custom objects: what makes their metadata that of every object, and what is wrong with it.

Where they are `machinery/schema/embedded.py` says. Specified in "Extend the Kubernetes API with
CustomResourceDefinitions", "RawExtension".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from tiphys.kinds import codec, misfits, zero_values
from tiphys.kinds.leniency import lenient
from tiphys.kinds.object_meta import path_segment_name, validate_object_meta
from tiphys.kinds.types.meta_v1 import ObjectMeta
from tiphys.machinery.field_errors import FieldError, invalid
from tiphys.machinery.schema.places import Place, path_of


class Malformed(Exception):
    """What is said to be an object is none; `finding` says why."""

    def __init__(self, finding: FieldError) -> None:
        super().__init__(str(finding))
        self.finding = finding


def metadata_of(value: Mapping[str, Any], place: Place) -> ObjectMeta | None:
    """The metadata of an object within an object; None when it has none. Malformed."""
    for name in ("apiVersion", "kind"):
        if not isinstance(value.get(name, ""), str):
            raise Malformed(invalid(path_of((place, name)), value[name], "must be a string"))
    if "metadata" not in value:
        return None
    plain = lenient(value["metadata"] if value["metadata"] is not None else {}, ObjectMeta)
    try:
        found = codec.decode(codec.encode(plain), ObjectMeta)  # by way of JSON: parts are kept as they stand there
    except (msgspec.ValidationError, ValueError) as error:
        misfit = misfits.first(plain, ObjectMeta)
        reason = misfit.unmarshal_text() if misfit is not None else str(error)
        raise Malformed(invalid(path_of((place, "metadata")), value["metadata"], reason)) from error
    zero_values.drop(found)
    return found


def settle(value: dict[str, Any], place: Place) -> None:
    """Make the metadata what it is everywhere, in place: nothing unknown, nothing that means nothing. Malformed."""
    metadata = metadata_of(value, place)
    if metadata is not None:
        value["metadata"] = codec.plain(metadata)


def findings(value: Mapping[str, Any], place: Place) -> list[FieldError]:
    """What is wrong with the metadata: it may lack a name."""
    try:
        metadata = metadata_of(value, place) or ObjectMeta()
    except Malformed as malformed:
        return [malformed.finding]
    metadata.name = metadata.name or "unnamed"
    path = path_of((place, "metadata"))
    return validate_object_meta(metadata, bool(metadata.namespace), path_segment_name, path, qualified_finalizers=False)
