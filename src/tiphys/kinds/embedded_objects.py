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
from tiphys.machinery.field_errors import FieldError, Path, invalid, required
from tiphys.machinery.names import dns1035_label
from tiphys.machinery.schema.embedded import compile_visit
from tiphys.machinery.schema.places import Place, path_of
from tiphys.machinery.schema.validation import Schema


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
    """What is wrong with an object within an object: it says what it is, and its metadata may lack a name."""
    try:
        metadata = metadata_of(value, place) or ObjectMeta()
    except Malformed as malformed:
        return [malformed.finding]
    metadata.name = metadata.name or "unnamed"
    path = path_of((place, "metadata"))
    return _type_findings(value, place) + validate_object_meta(
        metadata, bool(metadata.namespace), path_segment_name, path, qualified_finalizers=False
    )


def findings_in(schema: Schema, value: Any) -> list[FieldError]:
    """What is wrong with the objects within a value."""
    found: list[FieldError] = []
    visit = compile_visit(schema)
    if visit is not None:
        visit(value, None, lambda each, at: found.extend(findings(each, at)))
    return found


def _type_findings(value: Mapping[str, Any], place: Place) -> list[FieldError]:
    found: list[FieldError] = []
    for name in ("apiVersion", "kind"):
        path, text = path_of((place, name)), value.get(name)
        if text is None:
            found.append(required(path))
        elif text == "":
            found.append(invalid(path, "", "must not be empty"))
        elif name == "kind":
            found += kind_findings(path, text)
        elif text.count("/") > 1:
            found.append(invalid(path, text, f"unexpected GroupVersion string: {text}"))
    return found


def kind_findings(path: Path, kind: str) -> list[FieldError]:
    """What is wrong with the name of a kind."""
    return [
        invalid(path, kind, f"may have mixed case, but should otherwise match: {text}")
        for text in dns1035_label(kind.lower())
    ]
