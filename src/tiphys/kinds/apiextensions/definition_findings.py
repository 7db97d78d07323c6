"""What is wrong with a CustomResourceDefinition: names, versions, columns, subresources, conversion, stored versions.

Findings name the fields where Kubernetes has them internally: what all versions have alike (schema, subresources,
columns, selectable fields) is the definition's own there, and a conversion webhook's settings are the conversion's.
Schemas themselves are `machinery/schema/structural.py`'s business.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tiphys.kinds import codec, embedded_objects
from tiphys.kinds.admissionregistration.webhook_validation import validate_client_config
from tiphys.kinds.apiextensions import schema_parts
from tiphys.kinds.object_meta import subdomain_name
from tiphys.kinds.types.apiextensions_v1 import (
    CustomResourceColumnDefinition,
    CustomResourceConversion,
    CustomResourceDefinition,
    CustomResourceDefinitionNames,
    CustomResourceDefinitionVersion,
    CustomResourceSubresourceScale,
    JSONSchemaProps,
    SelectableField,
)
from tiphys.machinery import json_path
from tiphys.machinery.field_errors import (
    FieldError,
    Path,
    duplicate,
    forbidden,
    invalid,
    not_supported,
    required,
    too_many,
)
from tiphys.machinery.names import dns1035_label
from tiphys.machinery.repetition import repeated
from tiphys.machinery.schema import structural

SPEC = Path("spec")
SELECTABLE_FIELDS_LIMIT = 8
WARNING_CHARACTERS_LIMIT = 256
SCOPES = ("Cluster", "Namespaced")
COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")
COLUMN_FORMATS = ("byte", "date", "date-time", "double", "float", "int32", "int64", "password")
APPROVAL_ANNOTATION = "api-approved.kubernetes.io"
# What versions say each for itself -> where that is when all of them say the same.
_SHARED = {
    "schema": SPEC.child("validation"),
    "subresources": SPEC.child("subresources"),
    "additionalPrinterColumns": SPEC.child("additionalPrinterColumns"),
    "selectableFields": SPEC.child("selectableFields"),
}


def validate(definition: CustomResourceDefinition) -> list[FieldError]:
    """Everything that is wrong with a new definition."""
    return _name_findings(definition) + validate_changed(definition, definition)


def validate_changed(definition: CustomResourceDefinition, _: CustomResourceDefinition) -> list[FieldError]:
    """Everything that is wrong with a definition whose name is settled."""
    spec = definition.spec
    found: list[FieldError] = []
    if not spec.group:
        found.append(required(SPEC.child("group")))
    elif wrong := subdomain_name(spec.group):
        found += [invalid(SPEC.child("group"), spec.group, text) for text in wrong]
    elif "." not in spec.group:
        found.append(invalid(SPEC.child("group"), spec.group, "should be a domain with at least one dot"))
    if not spec.scope:
        found.append(required(SPEC.child("scope")))
    elif spec.scope not in SCOPES:
        found.append(not_supported(SPEC.child("scope"), spec.scope, SCOPES))
    if spec.preserveUnknownFields:
        detail = (
            "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"
        )
        found.append(invalid(SPEC.child("preserveUnknownFields"), True, detail))
    found += _approval_findings(definition)
    shared = {
        field for field in _SHARED if all(getattr(v, field) == getattr(spec.versions[0], field) for v in spec.versions)
    }
    found += _versions_findings(spec.versions, shared, SPEC.child("versions"))
    found += _names_findings(spec.names, SPEC.child("names"))
    for version in spec.versions[:1]:
        for field in _SHARED:
            if field in shared:
                found += _part_findings(version, field, _SHARED[field])
    if spec.conversion is not None:
        found += _conversion_findings(spec.conversion, SPEC.child("conversion"))
    return found + _stored_findings(definition)


def _name_findings(definition: CustomResourceDefinition) -> list[FieldError]:
    wanted = f"{definition.spec.names.plural}.{definition.spec.group}"
    return [
        invalid(Path("metadata").child(field), given, 'must be spec.names.plural+"."+spec.group')
        for field in ("generateName", "name")
        if (given := getattr(definition.metadata, field)) and given != wanted
    ]


def _approval_findings(definition: CustomResourceDefinition) -> list[FieldError]:
    """Groups of the community need its approval."""
    group = definition.spec.group
    if not group.endswith((".k8s.io", ".kubernetes.io")) and group not in ("k8s.io", "kubernetes.io"):
        return []
    if (definition.metadata.annotations or {}).get(APPROVAL_ANNOTATION):
        return []
    at = Path("metadata.annotations").key(APPROVAL_ANNOTATION)
    return [
        required(
            at,
            'protected groups must have approval annotation "api-approved.kubernetes.io", see https://github.com/kubernetes/enhancements/pull/1111',
        )
    ]


def _stored_findings(definition: CustomResourceDefinition) -> list[FieldError]:
    """The versions in which objects are stored include the one that new ones are stored in."""
    stored, path = definition.status.storedVersions, Path("status.storedVersions")
    if not stored:
        return [invalid(path, stored, "must have at least one stored version")]
    return [
        invalid(path, stored, f"must have the storage version {version.name}")
        for version in definition.spec.versions
        if version.storage and version.name not in stored
    ]


# -- versions


def _versions_findings(
    versions: Sequence[CustomResourceDefinitionVersion], shared: set[str], path: Path
) -> list[FieldError]:
    found: list[FieldError] = []
    names = [version.name for version in versions]
    for position, version in enumerate(versions):
        at = path.index(position)
        if version.schema is None or version.schema.openAPIV3Schema is None:
            found.append(required(at.child("schema", "openAPIV3Schema")))
        found += [invalid(at.child("name"), version.name, text) for text in dns1035_label(version.name)]
        found += _warning_findings(version, at.child("deprecationWarning"))
        for field in _SHARED:
            if field not in shared:
                found += _part_findings(version, field, at.child(field))
    if len(set(names)) != len(names):
        found.append(invalid(path, names, "must contain unique version names"))
    if sum(version.storage for version in versions) != 1:
        found.append(invalid(path, names, "must have exactly one version marked as storage version"))
    if names and names[0]:
        found += [invalid(SPEC.child("version"), names[0], text) for text in dns1035_label(names[0])]
    return found


def _warning_findings(version: CustomResourceDefinitionVersion, path: Path) -> list[FieldError]:
    text = version.deprecationWarning
    if text is None:
        return []
    if not version.deprecated:
        return [invalid(path, text, "can only be set for deprecated versions")]
    if not text:
        return [invalid(path, text, "must not be an empty string")]
    if len(text) > WARNING_CHARACTERS_LIMIT:
        return [invalid(path, text, f"must be <= {WARNING_CHARACTERS_LIMIT} characters long")]
    for position, character in enumerate(text):
        if not character.isprintable():
            place = len(text[:position].encode())
            detail = f"must only contain printable UTF-8 characters; non-printable character found at index {place}"
            return [invalid(path, text, detail)]
    return []


def _part_findings(version: CustomResourceDefinitionVersion, field: str, path: Path) -> Iterator[FieldError]:
    """Findings against one of the parts in `_SHARED`."""
    schema = version.schema.openAPIV3Schema if version.schema is not None else None
    if field == "schema":
        if schema is not None:
            plain, at = schema_parts.plain(schema), path.child("openAPIV3Schema")
            wrong = list(schema_parts.misfits(plain, at))
            if wrong:
                yield from wrong
                return
            if version.subresources is not None and version.subresources.status is not None:
                yield from structural.findings_at_status_root(plain, at)
            yield from structural.findings(plain, at, embedded_objects.findings_in)
    elif field == "subresources":
        if version.subresources is not None and version.subresources.scale is not None:
            yield from _scale_findings(version.subresources.scale, path.child("scale"))
    elif field == "additionalPrinterColumns":
        for position, column in enumerate(version.additionalPrinterColumns or ()):
            yield from _column_findings(column, path.index(position))
    else:
        yield from _selectable_findings(version.selectableFields or (), schema, path)


def _column_findings(column: CustomResourceColumnDefinition, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    types, formats = ",".join(COLUMN_TYPES), ",".join(COLUMN_FORMATS)
    if not column.name:
        found.append(required(path.child("name")))
    if not column.type:
        found.append(required(path.child("type"), f"must be one of {types}"))
    elif column.type not in COLUMN_TYPES:
        found.append(invalid(path.child("type"), column.type, f"must be one of {types}"))
    if column.format and column.format not in COLUMN_FORMATS:
        found.append(invalid(path.child("format"), column.format, f"must be one of {formats}"))
    return found + _simple_path(column.jsonPath, path.child("JSONPath"))


def _simple_path(text: str, path: Path) -> list[FieldError]:
    if not text:
        return [required(path)]
    if not text.startswith("."):
        return [invalid(path, text, "must be a simple json path starting with .")]
    return []


def _scale_findings(scale: CustomResourceSubresourceScale, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    for field, root in (("specReplicasPath", ".spec"), ("statusReplicasPath", ".status")):
        at, text = path.child(field), getattr(scale, field)
        wrong = _simple_path(text, at)
        if not wrong and not text.startswith(f"{root}."):
            wrong = [invalid(at, text, f"should be a json path under {root}")]
        found += wrong
    at, selector = path.child("labelSelectorPath"), scale.labelSelectorPath
    if selector:
        wrong = _simple_path(selector, at)
        if not wrong and not selector.startswith((".spec.", ".status.")):
            wrong = [invalid(at, selector, "should be a json path under either .spec or .status")]
        found += wrong
    return found


def _selectable_findings(
    fields: Sequence[SelectableField], schema: JSONSchemaProps | None, path: Path
) -> list[FieldError]:
    """Selectable fields are scalars of the schema, each named once."""
    found: list[FieldError] = []
    seen: set[str] = set()
    for position, field in enumerate(fields):
        at, text = path.index(position).child("jsonPath"), field.jsonPath
        if not text:
            found.append(required(at))
        elif text in seen:
            found.append(duplicate(at, text))
        elif reason := _not_selectable(schema, text):
            found.append(invalid(at, text, reason))
        seen.add(text)
    if fields and schema is None:
        found.append(invalid(path, "", "may only be set when validations.schema is included"))
    if len(fields) > SELECTABLE_FIELDS_LIMIT:
        found.append(too_many(path, len(fields), SELECTABLE_FIELDS_LIMIT))
    return found


def _not_selectable(schema: JSONSchemaProps | None, text: str) -> str:
    """Why a path leads to no field that can be selected by; empty when it does."""
    try:
        names = json_path.field_names(text)
    except ValueError as error:
        return f"is an invalid path: {error}"
    if names[:1] == ("metadata",):
        return "must not point to fields in metadata"
    for name in names:
        if schema is None:
            return ""
        below = (schema.properties or {}).get(name)
        if below is None and isinstance(schema.additionalProperties, dict):
            below = codec.convert(schema.additionalProperties, JSONSchemaProps)
        if below is None:
            return "is an invalid path: does not refer to a valid field"
        schema = below
    if schema is not None and schema.type not in ("boolean", "integer", "string"):
        return (
            "must point to a field of type string, boolean or integer. "
            "Enum string fields and strings with formats are allowed."
        )
    return ""


# -- names and conversion


def _names_findings(names: CustomResourceDefinitionNames, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    for field in ("plural", "singular", "kind", "listKind"):
        value, at = getattr(names, field) or "", path.child(field)
        if not value:
            found.append(required(at))
        elif field.endswith("ind"):
            found += embedded_objects.kind_findings(at, value)
        else:
            found += [invalid(at, value, text) for text in dns1035_label(value)]
    for field in ("shortNames", "categories"):
        for position, value in enumerate(getattr(names, field) or ()):
            found += [invalid(path.child(field).index(position), value, text) for text in dns1035_label(value)]
    if names.kind and names.kind == names.listKind:
        found.append(invalid(path.child("listKind"), names.listKind, "kind and listKind may not be the same"))
    return found


def _conversion_findings(conversion: CustomResourceConversion, path: Path) -> list[FieldError]:
    hook = conversion.webhook
    client = hook.clientConfig if hook is not None else None
    versions = hook.conversionReviewVersions if hook is not None else None
    at, at_versions = path.child("webhookClientConfig"), path.child("conversionReviewVersions")
    if not conversion.strategy:
        found = [required(path.child("strategy"))]
    elif conversion.strategy not in ("None", "Webhook"):
        found = [not_supported(path.child("strategy"), conversion.strategy, ("None", "Webhook"))]
    else:
        found = []
    if conversion.strategy != "Webhook":
        detail = "should not be set when strategy is not set to Webhook"
        return found + [forbidden(place, detail) for place, given in ((at, client), (at_versions, versions)) if given]
    if client is None:
        found.append(required(at, "required when strategy is set to Webhook"))
    else:
        found += validate_client_config(client, at)
    return found + _review_findings(versions or [], at_versions)


def _review_findings(versions: Sequence[str], path: Path) -> list[FieldError]:
    if not versions:
        return [required(path)]
    found: list[FieldError] = []
    again = repeated(versions)
    for position, version in enumerate(versions):
        if position in again:
            found.append(invalid(path.index(position), version, "duplicate version"))
        found += [invalid(path.index(position), version, text) for text in dns1035_label(version)]
    if not found and not {"v1", "v1beta1"} & set(versions):
        found.append(invalid(path, versions, "must include at least one of v1, v1beta1"))
    return found
