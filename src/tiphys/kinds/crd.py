"""From a CustomResourceDefinition to the resources it serves: one `Resource` a served version, with a class for its
objects and a strategy made of the version's schema, columns, subresources and selectable fields.

Everything is compiled once for a definition and then as fast as a built-in kind. Invariants: every version's `home` is
the storage version; resources are equal only to themselves, so that nothing remembered for an older definition is
taken for a newer one. Specified in "Extend the Kubernetes API with CustomResourceDefinitions".
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from tiphys.kinds import cells, codec, custom_apply_schema, custom_columns, custom_scale, embedded_objects
from tiphys.kinds.apiextensions import schema_parts
from tiphys.kinds.embedded_objects import Malformed
from tiphys.kinds.object_meta import STANDARD_FINALIZERS
from tiphys.kinds.resource import Resource, Subresource
from tiphys.kinds.strategy import Strategy
from tiphys.kinds.type_schema import structural_schema
from tiphys.kinds.types.apiextensions_v1 import (
    CustomResourceDefinition,
    CustomResourceDefinitionVersion,
    CustomResourceSubresourceScale,
    WebhookConversion,
)
from tiphys.kinds.types.meta_v1 import ObjectMeta
from tiphys.kinds.unstructured import HEAD, Unstructured
from tiphys.machinery import json_path
from tiphys.machinery.field_errors import FieldError, shown
from tiphys.machinery.schema.embedded import Visit, compile_visit, with_metadata
from tiphys.machinery.schema.pruning import Default, Prune, compile_default, compile_prune
from tiphys.machinery.schema.ratcheting import Ratchet
from tiphys.machinery.schema.repeats import compile_repeats
from tiphys.machinery.schema.validation import NO_PATH, Check, Schema, compile_check
from tiphys.machinery.versions import version_rank

VERBS = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")
_ROOT = ("", NO_PATH)
_TYPE = ("apiVersion", "kind")
SUBRESOURCE_VERBS = ("get", "patch", "update")
PATCH_TYPES = (
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/apply-patch+yaml",
)

UNQUALIFIED_FINALIZER = (
    "prefer a domain-qualified finalizer name to avoid accidental conflicts with other finalizer writers"
)


@dataclass(frozen=True, kw_only=True, eq=False)
class CustomResource(Resource):
    """A version of a custom resource. `schema` is plain OpenAPI v3; `struct` the class of its objects."""

    struct: type[Unstructured]
    hooks: Strategy[Unstructured]
    schema: Schema
    list_name: str
    definition: CustomResourceDefinition
    # Every version of the resource, by its name.
    versions: Mapping[str, CustomResource]
    compiled: CompiledSchema

    @property
    def alone(self) -> bool:
        return len(self.definition.spec.versions) == 1

    @property
    def webhook(self) -> WebhookConversion | None:
        """What converts between the versions, if that is a webhook."""
        conversion = self.definition.spec.conversion
        return conversion.webhook if conversion is not None and conversion.strategy == "Webhook" else None

    def settle(self, obj: Unstructured) -> None:
        """Make an object that was converted to this version what its schema makes of it, in place: what is read in the
        version that it is stored in has the defaults of that version and no others."""
        if self.home is None:
            self.compiled.clean(obj.content)
        else:
            self.compiled.prune(obj.content, None, [])

    @property
    def type(self) -> type[Any]:
        return self.struct

    @property
    def strategy(self) -> Strategy[Any]:
        return self.hooks

    @property
    def list_kind(self) -> str:
        return self.list_name

    __eq__ = object.__eq__
    __hash__ = object.__hash__


@dataclass(frozen=True, slots=True)
class CompiledSchema:
    """What one version's schema does to objects. Of the metadata its checks see the name alone: the rest is checked as
    that of every object."""

    prune: Prune
    default: Default
    default_applied: Default  # of what apply made: what is not specified and nulls count before they are dropped
    check: Check
    check_status: Check | None
    repeats: Check | None
    ratchet: Ratchet
    embedded: Visit | None

    def findings(self, obj: Unstructured, old: Unstructured | None = None) -> list[FieldError]:
        """What is wrong with an object; with its change, when there is an `old` one."""
        found: list[FieldError] = []
        view = _view(obj)
        self.check(view, None, found)
        if found and old is not None:
            found.clear()
            before = _view(old)
            self.ratchet.check_changed(view, {name: before[name] for name in before if name not in _TYPE}, None, found)
        if self.embedded is not None:
            self.embedded(obj.content, None, lambda value, at: found.extend(embedded_objects.findings(value, at)))
        return _at_root(found, NO_PATH) + self._repeats(obj, old)

    def status_findings(self, obj: Unstructured, old: Unstructured) -> list[FieldError]:
        """What is wrong with the change of a status, written on its own: the words name its fields from there."""
        found: list[FieldError] = []
        if self.check_status is not None and "status" in obj.content:
            status = obj.content["status"]
            self.check_status(status, None, found)
            if found and "status" in old.content:
                found.clear()
                self.ratchet.parts["status"].check(status, old.content["status"], None, found)
        found = [error if error.field in _ROOT else replace(error, field=f"status.{error.field}") for error in found]
        return _at_root(found, "status") + self._repeats(obj, old)

    def _repeats(self, obj: Unstructured, old: Unstructured | None) -> list[FieldError]:
        """Who changes an object that has something twice need not repair it."""
        found: list[FieldError] = []
        if self.repeats is not None:
            self.repeats(obj.content, None, found)
            if found and old is not None:
                before: list[FieldError] = []
                self.repeats(old.content, None, before)
                return [] if before else found
        return found

    def clean(self, content: dict[str, Any]) -> None:
        """Drop what the schema does not have, fill in its defaults."""
        self.prune(content, None, [])
        self.default(content)
        with contextlib.suppress(Malformed):  # of what is stored nothing is
            self.settle_embedded(content)

    def settle_embedded(self, content: dict[str, Any]) -> None:
        """Make the objects within the object what they are everywhere. Malformed."""
        if self.embedded is not None:
            self.embedded(content, None, embedded_objects.settle)


def compile_schema(schema: Schema) -> CompiledSchema:
    """The parts of a schema, each compiled."""
    properties = {name: part for name, part in (schema.get("properties") or {}).items() if name not in HEAD}
    content = {**schema, "properties": properties}
    metadata = (schema.get("properties") or {}).get("metadata") or {}
    limits = {
        name: part for name, part in (metadata.get("properties") or {}).items() if name in ("name", "generateName")
    }
    types = {name: part for name, part in (schema.get("properties") or {}).items() if name in _TYPE}
    named = {"metadata": {"type": "object", "properties": limits}} if limits else {}
    whole = {**schema, "properties": {**types, **named, **properties}}
    return CompiledSchema(
        compile_prune(with_metadata(schema, structural_schema(ObjectMeta)), is_object=True),
        compile_default(content),
        compile_default(content, drops_nulls=False),
        compile_check(whole),
        compile_check(properties["status"]) if "status" in properties else None,
        compile_repeats(content),
        Ratchet(whole),
        compile_visit(content),
    )


def _at_root(found: list[FieldError], field: str) -> list[FieldError]:
    """Findings, each once, those that are not about one field with another name for that."""
    named = (replace(error, field=field) if error.field in _ROOT else error for error in found)
    return list(dict.fromkeys(named))


def _view(obj: Unstructured) -> dict[str, Any]:
    """An object as its schema sees it."""
    meta = obj.metadata
    names = {key: value for key, value in (("name", meta.name), ("generateName", meta.generateName)) if value}
    return {"apiVersion": obj.apiVersion, "kind": obj.kind, "metadata": names, **obj.content}


def plain_schema(version: CustomResourceDefinitionVersion) -> Schema:
    """The schema of a version as plain JSON; one that keeps everything when there is none."""
    schema = version.schema.openAPIV3Schema if version.schema is not None else None
    if schema is None:
        return {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return schema_parts.plain(schema)


def resources(definition: CustomResourceDefinition) -> tuple[CustomResource, ...]:
    """One resource a version, in the definition's order; those that are not served have no verbs."""
    spec = definition.spec
    stored = next((version for version in spec.versions if version.storage), spec.versions[0])
    versions: dict[str, CustomResource] = {}
    home = _resource(definition, stored, None, versions)
    for version in spec.versions:
        versions[version.name] = home if version is stored else _resource(definition, version, home, versions)
    return tuple(versions.values())


def _resource(
    definition: CustomResourceDefinition,
    version: CustomResourceDefinitionVersion,
    home: Resource | None,
    versions: Mapping[str, CustomResource],
) -> CustomResource:
    spec = definition.spec
    names = definition.status.acceptedNames or spec.names
    api_version, schema = f"{spec.group}/{version.name}", plain_schema(version)
    compiled = compile_schema(schema)
    return CustomResource(
        group=spec.group,
        version=version.name,
        plural=spec.names.plural,
        singular=names.singular or spec.names.kind.lower(),
        kind=spec.names.kind,
        list_name=names.listKind or f"{spec.names.kind}List",
        namespaced=spec.scope == "Namespaced",
        verbs=VERBS if version.served else (),
        short_names=tuple(names.shortNames or ()),
        categories=tuple(names.categories or ()),
        subresources=_subresources(definition, version),
        storage=f"{spec.group}/{spec.names.plural}",
        home=home,
        struct=_struct(spec.names.kind, api_version, schema, compiled),
        hooks=strategy_of(version, compiled),
        schema=schema,
        warning=deprecation(definition, version),
        definition=definition,
        versions=versions,
        compiled=compiled,
    )


def deprecation(definition: CustomResourceDefinition, version: CustomResourceDefinitionVersion) -> str:
    """What clients of a deprecated version are warned of; "" when it is not. The newest version of the same or greater
    stability is recommended, if there is one."""
    if not version.deprecated:
        return ""
    if version.deprecationWarning:
        return version.deprecationWarning
    spec = definition.spec
    text = f"{spec.group}/{version.name} {spec.names.kind} is deprecated"
    served = sorted((each.name for each in spec.versions if each.served and not each.deprecated), key=version_rank)
    better = [name for name in served if version_rank(name) < version_rank(version.name)]
    return f"{text}; use {spec.group}/{better[0]} {spec.names.kind}" if better else text


def _subresources(
    definition: CustomResourceDefinition, version: CustomResourceDefinitionVersion
) -> Mapping[str, Subresource]:
    found: dict[str, Subresource] = {}
    given = version.subresources
    if given is not None and given.status is not None:
        found["status"] = Subresource(
            name="status", kind=definition.spec.names.kind, group=definition.spec.group, version=version.name,
            verbs=SUBRESOURCE_VERBS,
        )  # fmt: skip
    if given is not None and given.scale is not None:
        found["scale"] = Subresource(
            name="scale", kind="Scale", group="autoscaling", version="v1", verbs=SUBRESOURCE_VERBS
        )
    return found


def _struct(kind: str, api_version: str, schema: Schema, compiled: CompiledSchema) -> type[Unstructured]:
    prune, value_schema = compiled.prune, custom_apply_schema.of_schema(schema, is_object=True)

    def unknown_fields(cls: Any, plain: Mapping[str, Any]) -> list[str]:
        found: list[str] = []
        prune(plain, None, found)
        return [f'unknown field "{path}"' for path in found]

    def malformed(obj: Any) -> str:
        try:
            compiled.settle_embedded(obj.content)
        except Malformed as error:
            return str(error)
        return ""

    members: dict[str, Any] = {
        "__slots__": (),
        "api_version_of_type": api_version,
        "kind_of_type": kind,
        "malformed": malformed,
        "unknown_fields": classmethod(unknown_fields),
        "value_schema": classmethod(lambda cls: value_schema),
    }
    return type(kind, (Unstructured,), members)


# -- the strategy


def strategy_of(version: CustomResourceDefinitionVersion, compiled: CompiledSchema) -> Strategy[Unstructured]:
    """The hooks of one version. Status and generation are kept here, not by the API server's own rules for Structs."""
    given = version.subresources
    has_status = given is not None and given.status is not None
    scale = given.scale if given is not None else None
    columns = version.additionalPrinterColumns

    def default(obj: Unstructured) -> None:
        compiled.clean(obj.content)

    def prepare_for_create(obj: Unstructured) -> None:
        if has_status:
            obj.content.pop("status", None)
        obj.metadata.generation = 1

    def prepare_for_update(new: Unstructured, old: Unstructured) -> None:
        if has_status:
            _keep(new.content, old.content, "status")
        if _without_status(new, has_status) != _without_status(old, has_status):
            new.metadata.generation = (old.metadata.generation or 0) + 1

    def prepare_for_status_update(new: Unstructured, old: Unstructured) -> None:
        meta = msgspec.structs.replace(
            old.metadata, managedFields=new.metadata.managedFields, resourceVersion=new.metadata.resourceVersion
        )
        content = dict(old.content)
        _keep(content, new.content, "status")
        new.metadata, new.content = meta, content

    validation = _Validation(compiled, scale)
    return Strategy(
        warnings=_warnings,
        default=default,
        default_applied=lambda obj: compiled.default_applied(obj.content),
        settle_applied=default,
        prepare_for_create=prepare_for_create,
        prepare_for_update=prepare_for_update,
        prepare_for_status_update=prepare_for_status_update,
        validate=validation.of_new,
        validate_changed=validation.of_changed,
        validate_status_update=validation.of_changed_status,
        columns=[
            cells.name_column(),
            *(map(custom_columns.column, columns) if columns else [cells.age_column("date")]),
        ],
        fields=_fields([field.jsonPath for field in version.selectableFields or ()]),
        has_generation=False,
        has_status=False,
        allow_unconditional_update=False,
        qualified_finalizers=False,
        scaling=custom_scale.scaling_of(scale) if scale is not None else None,
    )


@dataclass(frozen=True, slots=True)
class _Validation:
    """An update need not repair what was wrong before, but for the numbers that /scale shows."""

    schema: CompiledSchema
    scale: CustomResourceSubresourceScale | None

    def of_new(self, obj: Unstructured) -> list[FieldError]:
        return self.schema.findings(obj) + custom_scale.findings(self.scale, obj.content)

    def of_changed(self, new: Unstructured, old: Unstructured) -> list[FieldError]:
        return self.schema.findings(new, old) + custom_scale.findings(self.scale, new.content)

    def of_changed_status(self, new: Unstructured, old: Unstructured) -> list[FieldError]:
        return self.schema.status_findings(new, old) + custom_scale.status_findings(self.scale, new.content)


def _warnings(new: Unstructured, old: Unstructured | None) -> list[str]:
    before = (old.metadata.finalizers if old is not None else None) or ()
    added = [name for name in new.metadata.finalizers or () if name not in before]
    return [
        f"metadata.finalizers: {shown(name)}: {UNQUALIFIED_FINALIZER}"
        for name in added
        if "/" not in name and name not in STANDARD_FINALIZERS
    ]


def _keep(content: dict[str, Any], other: Mapping[str, Any], name: str) -> None:
    if name in other:
        content[name] = other[name]
    else:
        content.pop(name, None)


def _without_status(obj: Unstructured, has_status: bool) -> Mapping[str, Any]:
    if not has_status or "status" not in obj.content:
        return obj.content
    return {name: value for name, value in obj.content.items() if name != "status"}


# -- fields


def _fields(paths: Sequence[str]) -> Callable[[Unstructured], Mapping[str, str]]:
    named = [(path.removeprefix("."), json_path.compile_path(path)) for path in paths]

    def fields(obj: Unstructured) -> Mapping[str, str]:
        return {name: custom_columns.text_of(next(iter(find(obj.content)), None)) for name, find in named}

    return fields


# -- from one version to another


def needs_webhook(resource: Resource) -> bool:
    """Whether a webhook converts the objects of a resource."""
    return isinstance(resource, CustomResource) and resource.webhook is not None


def has_versions(resource: Resource) -> bool:
    """Whether objects of a resource may be stored in several versions side by side."""
    return isinstance(resource, CustomResource) and not resource.alone


def converted(obj: Unstructured, wanted: CustomResource) -> Unstructured:
    """The object in another version: by the strategy None only its apiVersion changes, and what the version's schema
    makes of it. A webhook has been asked before."""
    if type(obj) is wanted.struct:
        return obj
    found = obj.versions.get(wanted)
    if found is not None:
        return found
    if wanted.webhook is not None:
        raise LookupError(f"{obj!r} has not been converted to {wanted.api_version} yet")
    new = wanted.struct(metadata=obj.metadata, content=msgspec.json.decode(msgspec.json.encode(obj.content)))
    wanted.settle(new)
    return new


def reader(home: CustomResource) -> Callable[[bytes], bytes]:
    """How stored bytes of a version are read: pruned, and with the defaults of now."""

    def read(stored: bytes) -> bytes:
        obj = codec.decode(stored, home.struct)
        home.strategy.default(obj)
        return codec.encode(obj)

    return read
