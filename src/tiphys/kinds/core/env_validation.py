"""Whether environment variables are well formed.

Downward API files share the references to fields and resources of the pod with them.
"""

from __future__ import annotations

from collections.abc import Mapping

from tiphys.kinds.object_meta import label_key_findings, label_name, subdomain_name
from tiphys.kinds.types.core_v1 import (
    ConfigMapKeySelector,
    EnvFromSource,
    EnvVar,
    FileKeySelector,
    ObjectFieldSelector,
    ResourceFieldSelector,
    SecretKeySelector,
    Volume,
)
from tiphys.kinds.value_findings import config_key, environment_name, local_free_path
from tiphys.machinery.field_errors import FieldError, Path, invalid, not_found, not_supported, required, too_long
from tiphys.machinery.quantity import Quantity

ENV_FIELDS = frozenset(
    [
        "metadata.name",
        "metadata.namespace",
        "metadata.uid",
        "spec.nodeName",
        "spec.serviceAccountName",
        "status.hostIP",
        "status.hostIPs",
        "status.podIP",
        "status.podIPs",
    ]
)
FILE_FIELDS = frozenset(
    ["metadata.name", "metadata.namespace", "metadata.labels", "metadata.annotations", "metadata.uid"]
)
_KNOWN_FIELDS = (
    ENV_FIELDS | FILE_FIELDS | frozenset(["spec.restartPolicy", "spec.schedulerName", "status.phase", "spec.host"])
)
RESOURCE_FIELDS = frozenset(
    f"{side}.{name}" for side in ("limits", "requests") for name in ("cpu", "memory", "ephemeral-storage")
)
_BYTES = ("1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei")
_BYTES_TEXT = ", ".join(_BYTES)
_ONE_SOURCE = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
_SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")
FILE_KEY_LIMIT = 128
MORE_THAN_ONE = "may not have more than one field specified at a time"


def validate_env(variables: list[EnvVar], path: Path, volumes: Mapping[str, Volume]) -> list[FieldError]:
    """`volumes`: the pod's, by name."""
    found: list[FieldError] = []
    for position, variable in enumerate(variables):
        if not variable.name:
            found.append(required(path.index(position).child("name")))
        elif environment_name(variable.name):
            at = path.index(position).child("name")
            found += [invalid(at, variable.name, text) for text in environment_name(variable.name)]
        if variable.valueFrom is not None:
            found += _value_from_findings(variable, path.index(position).child("valueFrom"), volumes)
    return found


def _value_from_findings(variable: EnvVar, path: Path, volumes: Mapping[str, Volume]) -> list[FieldError]:
    source, found = variable.valueFrom, list[FieldError]()
    assert source is not None
    if source.fieldRef is not None:
        found += validate_field_ref(source.fieldRef, ENV_FIELDS, path.child("fieldRef"))
    if source.resourceFieldRef is not None:
        found += validate_resource_field_ref(source.resourceFieldRef, path.child("resourceFieldRef"), False)
    if source.configMapKeyRef is not None:
        found += _key_findings(source.configMapKeyRef, path.child("configMapKeyRef"))
    if source.secretKeyRef is not None:
        found += _key_findings(source.secretKeyRef, path.child("secretKeyRef"))
    if source.fileKeyRef is not None:
        found += _file_key_findings(source.fileKeyRef, path.child("fileKeyRef"), volumes)
    count = sum(getattr(source, name) is not None for name in _SOURCES)
    if count == 0:
        found.append(invalid(path, "", _ONE_SOURCE))
    elif variable.value:
        found.append(invalid(path, "", "may not be specified when `value` is not empty"))
    elif count > 1:
        found.append(invalid(path, "", MORE_THAN_ONE))
    return found


def _key_findings(selector: ConfigMapKeySelector | SecretKeySelector, path: Path) -> list[FieldError]:
    name = selector.name or ""
    found = [invalid(path.child("name"), name, text) for text in subdomain_name(name)]
    if not selector.key:
        found.append(required(path.child("key")))
    else:
        found += [invalid(path.child("key"), selector.key, text) for text in config_key(selector.key)]
    return found


def _file_key_findings(selector: FileKeySelector, path: Path, volumes: Mapping[str, Volume]) -> list[FieldError]:
    """Files are read out of what the pod's own containers wrote: its emptyDir volumes."""
    found: list[FieldError] = []
    at, name = path.child("volumeName"), selector.volumeName
    if not selector.key:
        found.append(required(path.child("key")))
    else:
        found += [invalid(path.child("key"), selector.key, text) for text in environment_name(selector.key)]
        if len(selector.key) > FILE_KEY_LIMIT:
            found.append(too_long(path.child("key"), FILE_KEY_LIMIT))
    if not name:
        found.append(required(at))
    elif label_name(name):
        found += [invalid(at, name, text) for text in label_name(name)]
    elif name not in volumes:
        found.append(not_found(at, name))
    elif volumes[name].emptyDir is None:
        found.append(invalid(at, name, "referenced volume must be of type emptyDir"))
    if not selector.path:
        found.append(required(path.child("path")))
    else:
        found += [invalid(path.child("path"), selector.path, text) for text in local_free_path(selector.path)]
    return found


def validate_env_from(sources: list[EnvFromSource], path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    for position, source in enumerate(sources):
        at = path.index(position)
        if source.prefix:
            found += [invalid(at.child("prefix"), source.prefix, text) for text in environment_name(source.prefix)]
        for field, reference in (("configMapRef", source.configMapRef), ("secretRef", source.secretRef)):
            if reference is not None and not reference.name:
                found.append(required(at.child(field, "name")))
            elif reference is not None and reference.name:
                found += [invalid(at.child(field, "name"), reference.name, t) for t in subdomain_name(reference.name)]
        if source.configMapRef is None and source.secretRef is None:
            found.append(invalid(path, "", "must specify one of: `configMapRef` or `secretRef`"))
        elif source.configMapRef is not None and source.secretRef is not None:
            found.append(invalid(path, "", MORE_THAN_ONE))
    return found


def validate_field_ref(selector: ObjectFieldSelector, allowed: frozenset[str], path: Path) -> list[FieldError]:
    """A reference to a field of the pod itself: one of `allowed`, or one label or annotation."""
    if not selector.apiVersion:
        return [required(path.child("apiVersion"))]
    if not selector.fieldPath:
        return [required(path.child("fieldPath"))]
    field, bracket, rest = selector.fieldPath.partition("['")
    subscripted = bool(bracket) and rest.endswith("']")
    if selector.apiVersion != "v1":
        problem = f"unsupported pod version: {selector.apiVersion}"
    elif field not in _KNOWN_FIELDS if subscripted else selector.fieldPath not in _KNOWN_FIELDS:
        problem = f"field label not supported: {selector.fieldPath}"
    else:
        problem = ""
    if problem:
        return [invalid(path.child("fieldPath"), selector.fieldPath, f"error converting fieldPath: {problem}")]
    if subscripted:
        key = rest[:-2]
        if field not in ("metadata.labels", "metadata.annotations"):
            return [invalid(path, field, "does not support subscript")]
        texts = label_key_findings(key.lower() if field == "metadata.annotations" else key)
        return [invalid(path, key, text) for text in texts]
    if selector.fieldPath not in allowed:
        return [not_supported(path.child("fieldPath"), selector.fieldPath, sorted(allowed))]
    return []


def validate_resource_field_ref(selector: ResourceFieldSelector, path: Path, in_volume: bool) -> list[FieldError]:
    found: list[FieldError] = []
    if in_volume and not selector.containerName:
        found.append(required(path.child("containerName")))
    elif not selector.resource:
        found.append(required(path.child("resource")))
    elif selector.resource not in RESOURCE_FIELDS and "hugepages-" not in selector.resource:
        found.append(not_supported(path.child("resource"), selector.resource, sorted(RESOURCE_FIELDS)))
    return found + _divisor_findings(selector.resource, selector.divisor, path)


def _divisor_findings(resource: str, divisor: Quantity | None, path: Path) -> list[FieldError]:
    if divisor is None or divisor.amount == 0:
        return []
    name = resource.partition(".")[2]
    if name == "cpu":
        if divisor in ("1m", "1"):
            return []
        detail = "only divisor's values 1m and 1 are supported with the cpu resource"
        return [invalid(path.child("divisor"), resource, detail)]
    shown = {"memory": "memory", "ephemeral-storage": "local ephemeral storage"}.get(
        name, "hugepages" if name.startswith("hugepages-") else ""
    )
    if not shown or divisor in _BYTES:
        return []
    detail = f"only divisor's values {_BYTES_TEXT} are supported with the {shown} resource"
    return [invalid(path.child("divisor"), resource, detail)]
