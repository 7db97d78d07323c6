"""Where a proxied request goes: the kubelet of a pod's node, a pod, a Service's endpoint, a node; and with which path
and query.

Covers pods/log, exec, attach, portforward and the proxy subresources of pods, services and nodes. Specified in "API
concepts" and the kubelet's own API.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, quote, urlencode

from tiphys.apiserver.request import flag, integer
from tiphys.kinds.types import core_v1
from tiphys.machinery import errors
from tiphys.machinery.digits import is_number

KUBELET_PORT = 10250
ADDRESS_TYPES = ("InternalIP", "ExternalIP", "Hostname", "InternalDNS", "ExternalDNS")
SERVICE_NAME_LABEL = "kubernetes.io/service-name"
STREAMS = {"exec": "exec", "attach": "attach", "portforward": "portForward"}
LOG_PARAMETERS = ("sinceSeconds", "sinceTime", "tailLines", "limitBytes", "stream")
LOG_FLAGS = ("follow", "previous", "timestamps")
# What belongs to one connection and is not passed on.
HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "content-length"}
)
PRIVATE = frozenset({"authorization", "host"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """`to_kubelet`: with the API server's client certificate, over TLS. `path` includes the query."""

    host: str
    port: int
    path: str
    https: bool = False
    to_kubelet: bool = False


def kubelet_of(node: core_v1.Node | None, name: str) -> tuple[str, int]:
    """Address and port of a node's kubelet. ApiError 404 or 500."""
    if node is None:
        raise errors.not_found("nodes", "", name)
    endpoint = node.status.daemonEndpoints.kubeletEndpoint if node.status.daemonEndpoints is not None else None
    port = endpoint.Port if endpoint is not None and endpoint.Port else KUBELET_PORT
    addresses = {address.type: address.address for address in reversed(node.status.addresses or [])}
    for kind in ADDRESS_TYPES:
        if kind in addresses:
            return addresses[kind], port
    raise errors.internal(f"no preferred addresses found; known addresses: {sorted(addresses.values())}")


def container_of(pod: core_v1.Pod, asked: str) -> str:
    """The container that a stream or log is about. ApiError 400."""
    spec = pod.spec
    names = [container.name for container in spec.containers]
    initial = [container.name for container in spec.initContainers or ()]
    ephemeral = [container.name for container in spec.ephemeralContainers or ()]
    if asked:
        if asked not in (*names, *initial, *ephemeral):
            raise errors.bad_request(f"container {asked} is not valid for pod {pod.metadata.name}")
        return asked
    if len(names) == 1:
        return names[0]
    text = f"a container name must be specified for pod {pod.metadata.name}, choose one of: [{' '.join(names)}]"
    if initial:
        text += f" or one of the init containers: [{' '.join(initial)}]"
    raise errors.bad_request(text)


def log_target(pod: core_v1.Pod, node: core_v1.Node | None, query: Mapping[str, str]) -> Target | None:
    """None for a pod that is on no node: its log is empty. ApiError."""
    container = container_of(pod, query.get("container", ""))
    _check_log_options(query)
    if not pod.spec.nodeName:
        return None
    host, port = kubelet_of(node, pod.spec.nodeName)
    words = [(name, "true") for name in LOG_FLAGS if flag(query, name)]
    words += [(name, query[name]) for name in LOG_PARAMETERS if query.get(name)]
    path = f"/containerLogs/{pod.metadata.namespace}/{pod.metadata.name}/{quote(container)}"
    return Target(host=host, port=port, path=_with_query(path, urlencode(words)), https=True, to_kubelet=True)


def _check_log_options(query: Mapping[str, str]) -> None:
    for name in ("sinceSeconds", "tailLines", "limitBytes"):
        text = query.get(name)
        if not text:
            continue
        if integer(text) < (0 if name == "tailLines" else 1):
            least = "must be greater than or equal to 0" if name == "tailLines" else "must be greater than 0"
            raise errors.ApiError(
                422, "Invalid", f'PodLogOptions "" is invalid: {name}: Invalid value: {text}: {least}'
            )
    if query.get("sinceSeconds") and query.get("sinceTime"):
        detail = "at most one of `sinceTime` or `sinceSeconds` may be specified"
        text = f'PodLogOptions "" is invalid: sinceSeconds: Forbidden: {detail}'
        raise errors.ApiError(422, "Invalid", text)


def stream_target(subresource: str, pod: core_v1.Pod, node: core_v1.Node | None, raw_query: str) -> Target:
    """exec, attach and portforward. ApiError."""
    query = parse_qs(raw_query, keep_blank_values=True)
    words: list[tuple[str, str]] = []
    path = f"/{STREAMS[subresource]}/{pod.metadata.namespace}/{pod.metadata.name}"
    if subresource == "portforward":
        if not pod.spec.nodeName:
            raise errors.bad_request(f"pod {pod.metadata.name} does not have a host assigned")
        words += [("port", port) for port in query.get("ports", ())]
    else:
        path += "/" + quote(container_of(pod, (query.get("container") or [""])[0]))
        if not pod.spec.nodeName:
            raise errors.bad_request(f"pod {pod.metadata.name} does not have a host assigned")
        single = {key: values[0] for key, values in query.items()}
        for ours, theirs in (("stdin", "input"), ("stdout", "output"), ("stderr", "error"), ("tty", "tty")):
            if flag(single, ours):
                words.append((theirs, "1"))
        if subresource == "exec":
            commands = query.get("command", [])
            if not commands:
                raise errors.bad_request("you must specify at least 1 command for the container")
            words += [("command", word) for word in commands]
        if not any(name in ("input", "output", "error") for name, _ in words):
            raise errors.bad_request("you must specify at least one of stdin, stdout, stderr")
    host, port = kubelet_of(node, pod.spec.nodeName)
    return Target(host=host, port=port, path=_with_query(path, urlencode(words)), https=True, to_kubelet=True)


def split_name(name: str) -> tuple[str, str, str]:
    """(scheme, name, port) of `name`, `name:port` or `scheme:name:port`."""
    parts = name.split(":")
    if len(parts) == 1:
        return "", parts[0], ""
    if len(parts) == 2:
        return "", parts[0], parts[1]
    if len(parts) == 3 and parts[0] in ("http", "https", ""):
        return parts[0], parts[1], parts[2]
    raise errors.bad_request(f'invalid service request "{name}"')


def _with_query(path: str, query: str) -> str:
    return f"{path}?{query}" if query else path


def node_target(node: core_v1.Node | None, name: str, rest: str, raw_query: str) -> Target:
    """nodes/proxy: the kubelet's own paths."""
    _, plain, asked = split_name(name)
    host, port = kubelet_of(node, plain)
    if asked and is_number(asked) and int(asked) != port:
        return Target(host=host, port=int(asked), path=_with_query(rest or "/", raw_query))
    return Target(host=host, port=port, path=_with_query(rest or "/", raw_query), https=True, to_kubelet=True)


def pod_target(pod: core_v1.Pod, name: str, rest: str, raw_query: str) -> Target:
    scheme, _, asked = split_name(name)
    address = pod.status.podIP
    if not address:
        raise errors.ApiError(503, "ServiceUnavailable", f"pod {pod.metadata.name} has no address yet")
    port = int(asked) if is_number(asked) else _pod_port(pod, asked)
    return Target(host=address, port=port, path=_with_query(rest or "/", raw_query), https=scheme == "https")


def _pod_port(pod: core_v1.Pod, name: str) -> int:
    for container in pod.spec.containers:
        for port in container.ports or ():
            if (name and port.name == name) or (not name and port.containerPort):
                return port.containerPort
    return 80


def service_target(
    service: core_v1.Service,
    slices: Iterable[Any],
    name: str,
    rest: str,
    raw_query: str,
    choose: Callable[[int], int],
) -> Target:
    """An endpoint of a Service that is ready. `choose(n)` picks one of n. ApiError 503."""
    scheme, plain, asked = split_name(name)
    port = _service_port(service, plain, asked)
    found: list[tuple[str, int]] = []
    for part in slices:
        labels: Mapping[str, str] = part.metadata.labels or {}
        if labels.get(SERVICE_NAME_LABEL) != plain or part.addressType == "FQDN":
            continue
        number = next((p.port for p in part.ports or () if (p.name or "") == (port.name or "")), None)
        if number is None:
            continue
        found += _ready_addresses(part.endpoints, number)
    if not found:
        raise errors.unavailable(f'no endpoints available for service "{name}"')
    host, number = found[choose(len(found))]
    return Target(host=host, port=number, path=_with_query(rest or "/", raw_query), https=scheme == "https")


def _ready_addresses(endpoints: Sequence[Any] | None, port: int) -> list[tuple[str, int]]:
    found = []
    for endpoint in endpoints or ():
        if endpoint.conditions is None or endpoint.conditions.ready is not False:
            found += [(address, port) for address in endpoint.addresses]
    return found


def _service_port(service: core_v1.Service, name: str, asked: str) -> core_v1.ServicePort:
    ports = service.spec.ports or []
    if not asked and len(ports) == 1:
        return ports[0]
    for port in ports:
        if (asked and port.name == asked) or (is_number(asked) and port.port == int(asked)):
            return port
    raise errors.unavailable(f'no service port "{asked}" found for service "{name}"')


def forwarded_headers(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The request headers that are passed on."""
    found = []
    for name, value in headers:
        key = name.lower()
        if key not in HOP_BY_HOP and key not in PRIVATE and not key.startswith("impersonate-"):
            found.append((name, value))
    return found
