"""Server-side apply as a verb: what a request must say, which parts of it count where, and the object after it.

The decisions themselves are `machinery/patch/apply`. An object that is not there is created of the configuration.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from tiphys.apiserver import encoding
from tiphys.apiserver.rest import ownership, update
from tiphys.apiserver.rest.context import WriteContext
from tiphys.kinds import apply_schema, codec, field_differences
from tiphys.kinds.crd import CustomResource
from tiphys.kinds.object_meta import manager_findings
from tiphys.kinds.resource import Resource
from tiphys.machinery import errors, field_errors, go_text, timestamps
from tiphys.machinery.field_errors import FieldError, Path
from tiphys.machinery.patch.apply import applying, field_set, fitting
from tiphys.machinery.patch.apply.field_set import FieldSet
from tiphys.machinery.patch.apply.managers import APPLY, Manager
from tiphys.machinery.patch.apply.walk import Difference
from tiphys.machinery.patch.errors import NESTED_TOO_DEEP

TRUE_WORDS = ("1", "t", "T", "true", "TRUE", "True")
FALSE_WORDS = ("0", "f", "F", "false", "FALSE", "False", "")
_SERVERS_OWN = ("creationTimestamp", "selfLink", "generation", "managedFields", "deletionTimestamp",
                "deletionGracePeriodSeconds")  # fmt: skip
_NAMING = ("name", "namespace", "resourceVersion", "uid")
_HEAD = ("apiVersion", "kind", "metadata")


class Application(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A configuration to apply: as it was `given`, and the parts of it that count; `subresource` as managedFields has
    it."""

    given: dict[str, Any]
    config: dict[str, Any]
    manager: str
    force: bool
    subresource: str = ""


# -- what a request must say


def check_options(query: Mapping[str, str], is_apply: bool) -> bool:
    """Whether conflicts are to be forced. ApiError 400 or 422."""
    found: list[FieldError] = []
    word = query.get("force")
    if word is not None and word not in (*TRUE_WORDS, *FALSE_WORDS):
        raise errors.bad_request(f'strconv.ParseBool: parsing "{word}": invalid syntax')
    if not is_apply and word is not None:
        found.append(field_errors.forbidden(Path("force"), "may not be specified for non-apply patch"))
    manager = query.get("fieldManager", "")
    if is_apply and not manager:
        found.append(field_errors.required(Path("fieldManager"), "is required for apply patch"))
    found += manager_findings(manager, Path("fieldManager"))
    if found:
        raise errors.invalid("PatchOptions", "meta.k8s.io", "", found)
    return word in TRUE_WORDS


def repeated_outcome(repeated: list[str], field_validation: str) -> list[str]:
    """The warnings that keys which a configuration has twice lead to. ApiError 400 when Strict."""
    if repeated and field_validation == "Strict":
        lines = "".join(f"\n  {line}" for line in repeated)
        raise errors.bad_request(
            f"error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:{lines}"
        )
    return repeated


def application(config: Any, query: Mapping[str, str], resource: Resource, subresource: str) -> Application:
    """What a request asks for. ApiError 400 or 422."""
    force = check_options(query, True)
    config = {} if config is None else config
    if isinstance(resource, CustomResource):
        _check_type(config, resource.api_version, resource.kind)
    _check_config(config, resource.api_version)
    counting = _counting(config, subresource)
    if subresource == "status" and isinstance(resource, CustomResource):  # whose /status writes nothing else
        counting["metadata"] = {name: value for name, value in counting["metadata"].items() if name in _NAMING}
    return Application(
        given=config, config=counting, manager=query["fieldManager"], force=force, subresource=subresource
    )


def scale_application(config: Any, query: Mapping[str, str], resource: Resource, scale: type[Any]) -> Application:
    """A Scale to apply, as a configuration of the object that it scales. ApiError 400 or 422."""
    force = check_options(query, True)
    if isinstance(resource, CustomResource):
        _check_type(config, "autoscaling/v1", "Scale")
    _check_config(config, "autoscaling/v1")
    _refuse(fitting.findings(config, apply_schema.of_type(scale)), config)
    spec = config.get("spec") or {}
    parent = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": _own_metadata(config)}
    if spec.get("replicas") is not None:
        parent["spec"] = {"replicas": spec["replicas"]}
    return Application(given=parent, config=parent, manager=query["fieldManager"], force=force, subresource="scale")


def _check_config(config: Any, api_version: str) -> None:
    if not isinstance(config, dict):
        found = go_text.json_name(config)
        raise errors.bad_request(
            "error decoding YAML: error unmarshaling JSON: while decoding JSON: "
            f"json: cannot unmarshal {found} into Go value of type map[string]interface {{}}"
        )
    given = config.get("apiVersion")
    if given != api_version:
        raise errors.bad_request(
            "Incorrect version specified in apply patch. "
            f"Specified patch version: {given or ''}, expected: {api_version}"
        )
    if _metadata(config).get("managedFields") is not None:
        raise errors.bad_request("metadata.managedFields must be nil")


def _check_type(config: Any, wanted_version: str, wanted_kind: str) -> None:
    """The configuration is of the kind of the URL. ApiError 400."""
    if not isinstance(config, dict):
        return
    api_version, kind = (text if isinstance(text := config.get(name), str) else "" for name in ("apiVersion", "kind"))
    if (api_version, kind) != (wanted_version, wanted_kind):
        if api_version.count("/") > 1:
            api_version = kind = ""
        version = api_version if "/" in api_version else f"/{api_version}"
        raise errors.bad_request(f"invalid object type: {version}, Kind={kind}")


def _metadata(config: dict[str, Any]) -> dict[str, Any]:
    """The metadata; none when it is none."""
    found = config.get("metadata")
    return found if isinstance(found, dict) else {}


def _own_metadata(config: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in _metadata(config).items() if name not in _SERVERS_OWN}


# -- which parts count where


def _status_part(config: dict[str, Any]) -> dict[str, Any]:
    return {"status": config["status"]} if "status" in config else {}


def _inner(part: str, *names: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Of one part of the configuration, some fields."""

    def chosen(config: dict[str, Any]) -> dict[str, Any]:
        value = config.get(part)
        if not isinstance(value, dict):
            return {part: value} if part in config else {}
        return {part: {name: value[name] for name in names if name in value}}

    return chosen


def _resize_part(config: dict[str, Any]) -> dict[str, Any]:
    found = _inner("spec", "containers", "initContainers", "resources")(config)
    spec = found.get("spec")
    for name in ("containers", "initContainers"):
        if isinstance(spec, dict) and isinstance(spec.get(name), list):
            kept = ("name", "resources", "resizePolicy")
            spec[name] = [
                {key: item[key] for key in kept if key in item} if isinstance(item, dict) else item
                for item in spec[name]
            ]
    return found


_PARTS: Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "status": _status_part,
    "approval": _inner("status", "conditions"),
    "finalize": _inner("spec", "finalizers"),
    "ephemeralcontainers": _inner("spec", "ephemeralContainers"),
    "resize": _resize_part,
}


def _counting(config: dict[str, Any], subresource: str) -> dict[str, Any]:
    """The configuration without what a write there cannot change."""
    metadata = _own_metadata(config)
    part = _PARTS.get(subresource)
    if part is None:
        rest = {name: value for name, value in config.items() if name not in _HEAD}
    else:
        metadata.pop("ownerReferences", None)
        rest = part(config)
    head: dict[str, Any] = {name: config[name] for name in _HEAD[:2] if name in config}
    return {**head, "metadata": metadata, **rest}


# -- the object after it


def _refuse(found: list[str], config: dict[str, Any]) -> None:
    """ApiError 400 when a configuration does not fit the types (Go answers 500 without a reason)."""
    if not found:
        return
    metadata = _metadata(config)
    namespace, name = (text if isinstance(text := metadata.get(key), str) else "" for key in ("namespace", "name"))
    what = f"({namespace}/{name}; {config.get('apiVersion', '')}, Kind={config.get('kind', '')})"
    text = found[0] if len(found) == 1 else "errors:" + "".join(f"\n  {line}" for line in found)
    raise errors.bad_request(f"failed to create typed patch object {what}: {text}")


def applied(context: WriteContext, old: Any, asked: Application) -> Any:
    """The object after the apply; a new one when `old` is None. ApiError 400, 409."""
    try:
        return _applied(context, old, asked)
    except RecursionError as error:
        raise errors.bad_request(NESTED_TOO_DEEP) from error


def _applied(context: WriteContext, old: Any, asked: Application) -> Any:
    resource = context.resource
    struct = resource.type
    config = asked.config
    if not context.subresource and ownership.keeps_status(resource):
        config = {name: value for name, value in config.items() if name != "status"}
    schema = apply_schema.of_type(struct)
    _refuse(fitting.findings(asked.given, schema), asked.given)
    empty = codec.plain(field_differences.empty(struct))
    live = empty if old is None else codec.plain(without_managers(old))
    me = Manager(
        name=asked.manager,
        operation=APPLY,
        api_version=resource.api_version,
        subresource=asked.subresource,
        time=timestamps.time_of(context.now),
    )

    def difference_of(version: str, before: Any, after: Any) -> Difference | None:
        return ownership.difference_in_version(context, version, _typed(context, before), _typed(context, after))

    try:
        done = applying.apply(
            live, config, ownership.managers_of(old.metadata.managedFields) if old is not None else (), me, schema,
            force=asked.force, empty=empty, difference_of=difference_of, written=functools.partial(_written, context),
        )  # fmt: skip
    except applying.Conflicts as conflicts:
        raise _refused(conflicts) from conflicts
    new = _typed(context, done.obj)
    new.metadata.managedFields = ownership.entries_of(done.managers)
    return new


def _written(context: WriteContext, fields: FieldSet) -> FieldSet:
    """Of some fields those that such a write can change: what else is there is nobody's before the first apply."""
    resource = context.resource
    if context.subresource == "status":
        others = fields.keys() - {"f:status"} if isinstance(resource, CustomResource) else {"f:spec"}
    else:
        others = {"f:status"} if ownership.keeps_status(resource) else set()
    return {name: below for name, below in fields.items() if name not in others}


def created(context: WriteContext, asked: Application) -> Any:
    """The new object that a configuration describes. ApiError 400, 409."""
    obj = applied(context, None, asked)
    meta = obj.metadata
    if not meta.name:
        raise update.name_undeterminable(context)
    if meta.name != context.name:
        text = f"the name of the object ({meta.name}) does not match the name on the URL ({context.name})"
        raise errors.bad_request(text)
    meta.resourceVersion = None
    if meta.uid:
        detail = f"uid mismatch: the provided object specified uid {meta.uid}, and no existing object was found"
        raise context.conflict(detail)
    return obj


def _typed(context: WriteContext, plain: Any) -> Any:
    resource = context.resource
    try:
        return encoding.from_plain(plain, resource.type, resource.api_version, resource.kind)
    except msgspec.ValidationError as error:
        raise errors.bad_request(str(error)) from error


def without_managers(obj: Any) -> Any:
    """The object without its managed fields; shares everything else."""
    metadata = msgspec.structs.replace(obj.metadata, managedFields=None)
    return obj.__replace__(metadata=metadata)


def _refused(conflicts: applying.Conflicts) -> errors.ApiError:
    causes = [
        FieldError(
            reason="FieldManagerConflict",
            field=field_set.path_text(conflict.path),
            message=f"conflict with {applying.manager_text(conflict.manager)}",
        )
        for conflict in conflicts.found
    ]
    return errors.ApiError(409, "Conflict", str(conflicts), causes=causes)
