"""CustomResourceDefinitions: kinds that users add.

What is wrong with one is `definition_findings.py`'s; what the server says of one in its status is `conditions.py`'s.
"""

from __future__ import annotations

import msgspec

from tiphys.kinds import cells, codec
from tiphys.kinds.apiextensions import conditions
from tiphys.kinds.apiextensions.definition_findings import validate, validate_changed
from tiphys.kinds.apiextensions.schema_parts import drop_unknown
from tiphys.kinds.object_meta import immutable
from tiphys.kinds.spec_and_status import keep_spec
from tiphys.kinds.strategy import Column, Strategy
from tiphys.kinds.types.apiextensions_v1 import (
    CustomResourceConversion,
    CustomResourceDefinition,
    CustomResourceDefinitionNames,
    CustomResourceDefinitionStatus,
)
from tiphys.machinery.field_errors import FieldError, Path, invalid
from tiphys.machinery.schema.structural import unrecognized_formats

SPEC = Path("spec")


def default(definition: CustomResourceDefinition) -> None:
    spec = definition.spec
    spec.preserveUnknownFields = spec.preserveUnknownFields or None
    if not spec.names.singular:
        spec.names.singular = spec.names.kind.lower()
    if not spec.names.listKind and spec.names.kind:
        spec.names.listKind = f"{spec.names.kind}List"
    if spec.conversion is None:
        spec.conversion = CustomResourceConversion(strategy="None")
    if not definition.status.storedVersions:
        _remember_stored(definition)
    for version in spec.versions:
        if version.schema is not None and version.schema.openAPIV3Schema is not None:
            drop_unknown(version.schema.openAPIV3Schema)
    hook = spec.conversion.webhook
    service = hook.clientConfig.service if hook is not None and hook.clientConfig is not None else None
    if service is not None and service.port is None:
        service.port = 443


def begin(definition: CustomResourceDefinition) -> None:
    """A new definition has no names yet; what will be stored is in its storage version."""
    definition.status = CustomResourceDefinitionStatus(acceptedNames=CustomResourceDefinitionNames(), conditions=[])
    _remember_stored(definition)


def keep(new: CustomResourceDefinition, old: CustomResourceDefinition) -> None:
    """The status stays, but says from now on that objects are stored in the storage version."""
    new.status = msgspec.structs.replace(old.status)
    _remember_stored(new)


def _remember_stored(definition: CustomResourceDefinition) -> None:
    stored = definition.status.storedVersions or []
    for version in definition.spec.versions:
        if version.storage:
            if version.name not in stored:
                definition.status.storedVersions = [*stored, version.name]
            return


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
                    f"missing from spec.versions; {version} was previously a storage version, and must remain in "
                    "spec.versions until a storage migration ensures no data remains persisted in "
                    f"{version} and removes {version} from status.storedVersions",
                )
            )
    return found


def prepare_for_status_update(new: CustomResourceDefinition, old: CustomResourceDefinition) -> None:
    """Finalizers can be taken off here: who deleted all objects does that together with the condition."""
    keep_spec(new, old)
    for field in ("labels", "annotations", "ownerReferences"):
        setattr(new.metadata, field, getattr(old.metadata, field))


def warnings(definition: CustomResourceDefinition, old: CustomResourceDefinition | None) -> list[str]:
    """A format that the schemas ask for in vain, from now on."""
    before = _unrecognized_formats(old) if old is not None else []
    return [f'unrecognized format "{name}"' for name in _unrecognized_formats(definition) if name not in before][:1]


def _unrecognized_formats(definition: CustomResourceDefinition) -> list[str]:
    schemas = [version.schema.openAPIV3Schema for version in definition.spec.versions if version.schema is not None]
    return [name for schema in schemas if schema for name in unrecognized_formats(codec.plain(schema))]


STRATEGY: Strategy[CustomResourceDefinition] = Strategy(
    default=default,
    prepare_for_create=begin,
    prepare_for_update=keep,
    prepare_for_status_update=prepare_for_status_update,
    validate=validate,
    validate_changed=validate_changed,
    validate_update=validate_update,
    warnings=warnings,
    allow_unconditional_update=False,
    qualified_finalizers=False,
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
