"""CustomResourceDefinitions: kinds that users add.

What is checked here is the definition's own structure; its schemas are the API server's.
"""

from __future__ import annotations

import re

from tiphys.kinds import cells, codec
from tiphys.kinds.admissionregistration.webhook_validation import validate_client_config
from tiphys.kinds.apiextensions import conditions
from tiphys.kinds.object_meta import immutable, label_name, subdomain_name
from tiphys.kinds.spec_and_status import clear_status, keep_spec, keep_status
from tiphys.kinds.strategy import Column, Strategy
from tiphys.kinds.types.apiextensions_v1 import (
    CustomResourceConversion,
    CustomResourceDefinition,
    CustomResourceDefinitionNames,
    CustomResourceDefinitionVersion,
    JSONSchemaProps,
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
SCOPES = ("Cluster", "Namespaced")
COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")
COLUMN_FORMATS = ("byte", "date", "date-time", "double", "float", "int32", "int64", "password")
APPROVAL_ANNOTATION = "api-approved.kubernetes.io"
_VERSION = re.compile(r"^v([1-9][0-9]*)(?:(alpha|beta)([1-9][0-9]*))?$")


def version_order(version: str) -> tuple[int, int, int, str]:
    """A key that sorts versions by how settled they are: GA, beta, alpha, then anything else; newest first."""
    match = _VERSION.match(version)
    if match is None:
        return (3, 0, 0, version)
    stage = {None: 0, "beta": 1, "alpha": 2}[match[2]]
    return (stage, -int(match[1]), -int(match[3] or 0), version)


def default(definition: CustomResourceDefinition) -> None:
    spec = definition.spec
    if not spec.scope:
        spec.scope = "Namespaced"
    if not spec.names.singular:
        spec.names.singular = spec.names.kind.lower()
    if not spec.names.listKind and spec.names.kind:
        spec.names.listKind = f"{spec.names.kind}List"
    if spec.conversion is None:
        spec.conversion = CustomResourceConversion(strategy="None")
    hook = spec.conversion.webhook
    service = hook.clientConfig.service if hook is not None and hook.clientConfig is not None else None
    if service is not None and service.port is None:
        service.port = 443


def validate(definition: CustomResourceDefinition) -> list[FieldError]:
    spec = definition.spec
    found: list[FieldError] = []
    wanted = f"{spec.names.plural}.{spec.group}"
    if definition.metadata.name != wanted:
        detail = 'must be spec.names.plural+"."+spec.group'
        found.append(invalid(Path("metadata.name"), definition.metadata.name or "", detail))
    if not spec.group:
        found.append(required(SPEC.child("group")))
    else:
        found += [invalid(SPEC.child("group"), spec.group, text) for text in subdomain_name(spec.group)]
        if "." not in spec.group:
            detail = "should be a domain with at least one dot"
            found.append(invalid(SPEC.child("group"), spec.group, detail))
    if spec.scope not in SCOPES:
        found.append(not_supported(SPEC.child("scope"), spec.scope, SCOPES))
    if spec.preserveUnknownFields:
        detail = (
            "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"
        )
        found.append(invalid(SPEC.child("preserveUnknownFields"), True, detail))
    found += _approval_findings(definition)
    found += _versions_findings(spec.versions, SPEC.child("versions"))
    found += _names_findings(spec.names, SPEC.child("names"))
    if spec.conversion is not None:
        found += _conversion_findings(spec.conversion, SPEC.child("conversion"))
    return found


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


def _versions_findings(versions: list[CustomResourceDefinitionVersion], path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    names: set[str] = set()
    for position, version in enumerate(versions):
        at = path.index(position)
        found += [invalid(at.child("name"), version.name, text) for text in dns1035_label(version.name)]
        if version.name in names:
            found.append(invalid(path, [v.name for v in versions], "must contain unique version names"))
        names.add(version.name)
        found += _version_findings(version, at)
    if sum(version.storage for version in versions) != 1:
        detail = "must have exactly one version marked as storage version"
        found.append(invalid(path, [v.name for v in versions], detail))
    return found


def _version_findings(version: CustomResourceDefinitionVersion, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    if version.schema is None or version.schema.openAPIV3Schema is None:
        found.append(required(path.child("schema", "openAPIV3Schema"), "schemas are required"))
    else:
        found += structural.findings(
            codec.plain(version.schema.openAPIV3Schema), path.child("schema", "openAPIV3Schema")
        )
    if version.deprecationWarning is not None and not version.deprecated:
        detail = "can only be set for deprecated versions"
        found.append(invalid(path.child("deprecationWarning"), version.deprecationWarning, detail))
    for position, column in enumerate(version.additionalPrinterColumns or ()):
        at = path.child("additionalPrinterColumns").index(position)
        if not column.name:
            found.append(required(at.child("name")))
        if not column.type:
            found.append(required(at.child("type"), f"must be one of {','.join(COLUMN_TYPES)}"))
        elif column.type not in COLUMN_TYPES:
            found.append(invalid(at.child("type"), column.type, f"must be one of {','.join(COLUMN_TYPES)}"))
        if column.format and column.format not in COLUMN_FORMATS:
            found.append(invalid(at.child("format"), column.format, f"must be one of {','.join(COLUMN_FORMATS)}"))
        if not column.jsonPath:
            found.append(required(at.child("jsonPath")))
        else:
            found += _path_findings(column.jsonPath, at.child("jsonPath"))
    scale = version.subresources.scale if version.subresources is not None else None
    if scale is not None:
        at = path.child("subresources", "scale")
        for field, root in (("specReplicasPath", ".spec."), ("statusReplicasPath", ".status.")):
            value = getattr(scale, field)
            if not value:
                found.append(required(at.child(field)))
            elif not value.startswith(root):
                found.append(invalid(at.child(field), value, f"should be a json path under {root[:-1]}"))
            elif not json_path.is_simple(value):
                found.append(invalid(at.child(field), value, "is an invalid path: only names are allowed"))
        selector = scale.labelSelectorPath
        if selector and not (json_path.is_simple(selector) and selector.startswith((".spec.", ".status."))):
            detail = "should be a json path under either .status or .spec"
            found.append(invalid(at.child("labelSelectorPath"), selector, detail))
    found += _selectable_findings(version, path.child("selectableFields"))
    return found


def _path_findings(text: str, path: Path) -> list[FieldError]:
    try:
        json_path.compile_path(text)
    except ValueError as error:
        return [invalid(path, text, f"unable to parse JSONPath: {error}")]
    return []


def _selectable_findings(version: CustomResourceDefinitionVersion, path: Path) -> list[FieldError]:
    """Selectable fields are scalars of the schema, named once, and not of the metadata."""
    found: list[FieldError] = []
    fields = version.selectableFields or []
    if len(fields) > SELECTABLE_FIELDS_LIMIT:
        found.append(too_many(path, len(fields), SELECTABLE_FIELDS_LIMIT))
    schema = version.schema.openAPIV3Schema if version.schema is not None else None
    seen: set[str] = set()
    for position, field in enumerate(fields):
        at, text = path.index(position).child("jsonPath"), field.jsonPath
        if not text:
            found.append(required(at))
        elif not json_path.is_simple(text):
            found.append(invalid(at, text, "is an invalid path: only names are allowed"))
        elif text in seen:
            found.append(duplicate(at, text))
        elif text == ".metadata" or text.startswith(".metadata."):
            found.append(invalid(at, text, "must not point to fields in metadata"))
        elif schema is not None:
            found += _selectable_kind(schema, text, at)
        seen.add(text)
    return found


def _selectable_kind(schema: JSONSchemaProps, text: str, at: Path) -> list[FieldError]:
    for name in json_path.names_of(text):
        below = (schema.properties or {}).get(name)
        if below is None:
            return [invalid(at, text, "is an invalid path: does not refer to a valid field")]
        schema = below
    if schema.type not in ("boolean", "integer", "string"):
        detail = (
            "must point to a field of type string, boolean or integer. "
            "Enum string fields and strings with formats are allowed."
        )
        return [invalid(at, text, detail)]
    return []


def _names_findings(names: CustomResourceDefinitionNames, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    for field in ("plural", "singular", "kind", "listKind"):
        value = getattr(names, field) or ""
        if not value and field in ("plural", "kind", "listKind"):
            found.append(required(path.child(field)))
        elif value:
            found += [invalid(path.child(field), value, text) for text in dns1035_label(value.lower())]
    for field in ("shortNames", "categories"):
        for position, value in enumerate(getattr(names, field) or ()):
            found += [invalid(path.child(field).index(position), value, text) for text in dns1035_label(value)]
    if names.kind and names.kind == names.listKind:
        found.append(invalid(path.child("listKind"), names.listKind, "kind and listKind may not be the same"))
    return found


def _conversion_findings(conversion: CustomResourceConversion, path: Path) -> list[FieldError]:
    if not conversion.strategy:
        return [required(path.child("strategy"))]
    if conversion.strategy == "None":
        if conversion.webhook is not None:
            return [forbidden(path.child("webhook"), "should not be set when strategy is not set to Webhook")]
        return []
    if conversion.strategy != "Webhook":
        return [not_supported(path.child("strategy"), conversion.strategy, ("None", "Webhook"))]
    hook, at = conversion.webhook, path.child("webhook")
    if hook is None or hook.clientConfig is None:
        return [required(at.child("clientConfig"), "required when strategy is set to Webhook")]
    found = validate_client_config(hook.clientConfig, at.child("clientConfig"))
    versions, at = hook.conversionReviewVersions, at.child("conversionReviewVersions")
    if not versions:
        return [*found, required(at)]
    again = repeated(versions)
    for position, version in enumerate(versions):
        if position in again:
            found.append(duplicate(at.index(position), version))
        found += [invalid(at.index(position), version, text) for text in label_name(version)]
    if not {"v1", "v1beta1"} & set(versions):
        found.append(invalid(at, versions, "must include at least one of v1, v1beta1"))
    return found


def validate_update(new: CustomResourceDefinition, old: CustomResourceDefinition) -> list[FieldError]:
    """Group and plural name the definition; kind and scope stay once objects can be there."""
    found = immutable(new.spec.group, old.spec.group, SPEC.child("group"))
    found += immutable(new.spec.names.plural, old.spec.names.plural, SPEC.child("names", "plural"))
    established = any(c.type == "Established" and c.status == "True" for c in old.status.conditions or ())
    if established:
        found += immutable(new.spec.scope, old.spec.scope, SPEC.child("scope"))
        found += immutable(new.spec.names.kind, old.spec.names.kind, SPEC.child("names", "kind"))
    kept = {version.name for version in new.spec.versions}
    for position, version in enumerate(old.status.storedVersions or ()):
        if version not in kept:
            at = Path("status.storedVersions").index(position)
            found.append(
                invalid(
                    at,
                    version,
                    "missing from spec.versions; must remain in spec.versions until removed from status.storedVersions",
                )
            )
    return found


STRATEGY: Strategy[CustomResourceDefinition] = Strategy(
    default=default,
    prepare_for_create=clear_status,
    prepare_for_update=keep_status,
    prepare_for_status_update=keep_spec,
    validate=validate,
    validate_update=validate_update,
    deletion_finalizers=(conditions.CLEANUP_FINALIZER,),
    columns=(
        cells.name_column(),
        Column(
            name="Created At",
            type="date",
            cell=lambda definition, _: definition.metadata.creationTimestamp or cells.UNKNOWN,
        ),
    ),
)
