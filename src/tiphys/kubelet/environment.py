"""The environment variables of a container: literals, references, ConfigMaps, Secrets, Services, and `$(NAME)`
expansion.

Order and precedence as documented: Service variables, then envFrom, then env; later ones win, and a value may use
what stands before it. Pure: ConfigMaps, Secrets and files come through `EnvironmentSources`; a missing one that is
not optional is a ConfigError.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tiphys.kinds.types import core_v1
from tiphys.kubelet.downward import DownwardError, field_value, find_container, resource_value
from tiphys.kubelet.env_files import EnvFile
from tiphys.kubelet.env_files import parse as parse_env_file
from tiphys.machinery.quantity import Quantity

_REFERENCE = re.compile(r"\$\$|\$\(([^()]*)\)")
_NAME = re.compile(r"^[\x20-\x3c\x3e-\x7e]+$")  # printable ASCII without "="
# What Services of a pod's own namespace are named after; the API server's Service is known in every namespace.
_MASTER = ("default", "kubernetes")


class ConfigError(Exception):
    """The container cannot be configured (its waiting reason is CreateContainerConfigError); the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentSources:
    """Where references lead. The functions take namespace and name and give None for what does not exist, as do the
    texts of the files that `env_files.needed_files` names."""

    config_map: Callable[[str, str], core_v1.ConfigMap | None]
    secret: Callable[[str, str], core_v1.Secret | None]
    services: Sequence[core_v1.Service] = ()
    node_allocatable: Mapping[str, Quantity] = field(default_factory=dict)
    files: Mapping[EnvFile, str | None] = field(default_factory=dict)


def expand(text: str, values: Mapping[str, str]) -> str:
    """`$(NAME)` becomes the value if there is one, `$$` becomes `$`; everything else stays."""

    def replacement(match: re.Match[str]) -> str:
        if match.group(1) is None:
            return "$"
        return values.get(match.group(1), match.group(0))

    return _REFERENCE.sub(replacement, text)


def container_environment(
    pod: core_v1.Pod, container: core_v1.Container, sources: EnvironmentSources
) -> list[tuple[str, str]]:
    """Names and values in the order of their definition. `pod.status` must hold the addresses that fieldRefs name.
    ConfigError."""
    services = pod.spec.enableServiceLinks is not False
    values: dict[str, str] = dict(service_variables(sources.services, pod.metadata.namespace or "", services))
    for source in container.envFrom or ():
        values.update(_values_from(source, pod, sources))
    for variable in container.env or ():
        value = _value(variable, pod, container, sources, values)
        if value is not None:
            values[variable.name] = value
    return list(values.items())


def _values_from(
    source: core_v1.EnvFromSource, pod: core_v1.Pod, sources: EnvironmentSources
) -> Iterable[tuple[str, str]]:
    namespace = pod.metadata.namespace or ""
    prefix = source.prefix or ""
    data: dict[str, str] = {}
    if source.configMapRef is not None:
        name = source.configMapRef.name or ""
        found = sources.config_map(namespace, name)
        if found is None and not source.configMapRef.optional:
            raise ConfigError(f'configmap "{name}" not found')
        data = dict(found.data or {}) if found is not None else {}
    elif source.secretRef is not None:
        name = source.secretRef.name or ""
        secret = sources.secret(namespace, name)
        if secret is None and not source.secretRef.optional:
            raise ConfigError(f'secret "{name}" not found')
        data = {key: _text(value) for key, value in (secret.data or {}).items()} if secret is not None else {}
    return [(prefix + key, value) for key, value in sorted(data.items()) if _NAME.match(prefix + key)]


def _text(value: bytes) -> str:
    """Secret data as an environment variable holds it: bytes that are no UTF-8 pass through unchanged."""
    return value.decode(errors="surrogateescape")


def _value(
    variable: core_v1.EnvVar,
    pod: core_v1.Pod,
    container: core_v1.Container,
    sources: EnvironmentSources,
    before: Mapping[str, str],
) -> str | None:
    """None for an optional reference that leads nowhere: the variable is then not set."""
    origin = variable.valueFrom
    if origin is None:
        return expand(variable.value or "", before)
    try:
        if origin.fieldRef is not None:
            return field_value(pod, origin.fieldRef.fieldPath)
        if origin.resourceFieldRef is not None:
            return _resource(origin.resourceFieldRef, pod, container, sources)
    except DownwardError as error:
        raise ConfigError(str(error)) from error
    if origin.configMapKeyRef is not None:
        return _config_map_key(origin.configMapKeyRef, pod, sources)
    if origin.secretKeyRef is not None:
        return _secret_key(origin.secretKeyRef, pod, sources)
    if origin.fileKeyRef is not None:
        return _file_key(origin.fileKeyRef, sources)
    raise ConfigError(f"environment variable {variable.name}: this kind of valueFrom is not supported by this kubelet")


def _resource(
    reference: core_v1.ResourceFieldSelector,
    pod: core_v1.Pod,
    container: core_v1.Container,
    sources: EnvironmentSources,
) -> str:
    wanted = find_container(pod, reference.containerName) if reference.containerName else container
    if wanted is None:
        raise ConfigError(f"container {reference.containerName} not found")
    return resource_value(wanted, reference.resource, reference.divisor, sources.node_allocatable)


def _config_map_key(
    reference: core_v1.ConfigMapKeySelector, pod: core_v1.Pod, sources: EnvironmentSources
) -> str | None:
    namespace, name = pod.metadata.namespace or "", reference.name or ""
    found = sources.config_map(namespace, name)
    if found is None:
        if reference.optional:
            return None
        raise ConfigError(f'configmap "{name}" not found')
    value = (found.data or {}).get(reference.key)
    if value is None and not reference.optional:
        raise ConfigError(f"couldn't find key {reference.key} in ConfigMap {namespace}/{name}")
    return value


def _secret_key(reference: core_v1.SecretKeySelector, pod: core_v1.Pod, sources: EnvironmentSources) -> str | None:
    namespace, name = pod.metadata.namespace or "", reference.name or ""
    found = sources.secret(namespace, name)
    if found is None:
        if reference.optional:
            return None
        raise ConfigError(f'secret "{name}" not found')
    value = (found.data or {}).get(reference.key)
    if value is None:
        if reference.optional:
            return None
        raise ConfigError(f"couldn't find key {reference.key} in Secret {namespace}/{name}")
    return _text(value)


def _file_key(reference: core_v1.FileKeySelector, sources: EnvironmentSources) -> str | None:
    text = sources.files.get(EnvFile(reference.volumeName, reference.path))
    if text is None:
        if reference.optional:
            return None
        raise ConfigError(f"couldn't find file {reference.path} in volume {reference.volumeName}")
    try:
        value = parse_env_file(text).get(reference.key)
    except ValueError as error:
        raise ConfigError(f"couldn't parse env file {reference.path}: {error}") from error
    if value is None and not reference.optional:
        raise ConfigError(f"couldn't find key {reference.key} in file {reference.path}")
    return value


def service_variables(
    services: Iterable[core_v1.Service], namespace: str, own_namespace: bool
) -> Iterable[tuple[str, str]]:
    """`WEB_SERVICE_HOST` and so on for the Services of the namespace (if `own_namespace`) and for the API server's."""
    chosen: dict[str, core_v1.Service] = {}
    for service in services:
        key = (service.metadata.namespace or "", service.metadata.name or "")
        if service.spec.clusterIP in (None, "", "None"):
            continue
        if (own_namespace and key[0] == namespace) or (key == _MASTER and key[1] not in chosen):
            chosen[key[1]] = service
    for name, service in sorted(chosen.items()):
        yield from _one_service(name, service)


def _one_service(name: str, service: core_v1.Service) -> Iterable[tuple[str, str]]:
    stem = name.upper().replace("-", "_")
    address = service.spec.clusterIP or ""
    ports = service.spec.ports or ()
    if not ports:
        return
    yield f"{stem}_SERVICE_HOST", address
    yield f"{stem}_SERVICE_PORT", str(ports[0].port)
    for port in ports:
        if port.name:
            yield f"{stem}_SERVICE_PORT_{port.name.upper().replace('-', '_')}", str(port.port)
    host = f"[{address}]" if ":" in address else address
    for position, port in enumerate(ports):
        protocol = (port.protocol or "TCP").lower()
        url = f"{protocol}://{host}:{port.port}"
        if position == 0:
            yield f"{stem}_PORT", url
        prefix = f"{stem}_PORT_{port.port}_{protocol.upper()}"
        yield prefix, url
        yield f"{prefix}_PROTO", protocol
        yield f"{prefix}_PORT", str(port.port)
        yield f"{prefix}_ADDR", address
