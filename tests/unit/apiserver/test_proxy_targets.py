"""Where logs, streams and proxied requests go."""

from __future__ import annotations

from typing import Any

import pytest

from tiphys.apiserver import proxy_targets
from tiphys.apiserver.proxy_targets import Target
from tiphys.kinds.types import core_v1, discovery_v1, meta_v1
from tiphys.machinery.errors import ApiError


def node() -> core_v1.Node:
    addresses = [
        core_v1.NodeAddress(type="Hostname", address="n"),
        core_v1.NodeAddress(type="InternalIP", address="10.0.0.9"),
    ]
    endpoints = core_v1.NodeDaemonEndpoints(kubeletEndpoint=core_v1.DaemonEndpoint(Port=1234))
    return core_v1.Node(status=core_v1.NodeStatus(addresses=addresses, daemonEndpoints=endpoints))


def pod(*names: str, **spec: Any) -> core_v1.Pod:
    containers = [core_v1.Container(name=name) for name in names or ("c",)]
    spec.setdefault("nodeName", "n")
    return core_v1.Pod(
        metadata=meta_v1.ObjectMeta(name="p", namespace="a"), spec=core_v1.PodSpec(containers=containers, **spec)
    )


def test_logs_come_from_the_kubelet() -> None:
    query = {"follow": "true", "previous": "false", "tailLines": "5", "nonsense": "1"}
    assert proxy_targets.log_target(pod(), node(), query) == Target(
        host="10.0.0.9", port=1234, path="/containerLogs/a/p/c?follow=true&tailLines=5", https=True, to_kubelet=True
    )
    assert proxy_targets.log_target(pod(nodeName=None), None, {}) is None


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({}, "a container name must be specified for pod p, choose one of: [a b] or one of the init containers: [i]"),
        ({"container": "z"}, "container z is not valid for pod p"),
        ({"container": "a", "tailLines": "x"}, 'strconv.ParseInt: parsing "x": invalid syntax'),
        (
            {"container": "a", "sinceSeconds": "0"},
            'PodLogOptions "" is invalid: sinceSeconds: Invalid value: 0: must be greater than 0',
        ),
    ],
)  # fmt: skip
def test_bad_log_requests(query: dict[str, str], message: str) -> None:
    with pytest.raises(ApiError) as caught:
        proxy_targets.log_target(pod("a", "b", initContainers=[core_v1.Container(name="i")]), node(), query)
    assert caught.value.message == message


def test_exec_in_the_kubelets_words() -> None:
    target = proxy_targets.stream_target(
        "exec", pod(), node(), "command=sh&command=-c&command=a%20b&stdin=true&stdout=1&tty=0"
    )
    assert target.path == "/exec/a/p/c?input=1&output=1&command=sh&command=-c&command=a+b"
    forward = proxy_targets.stream_target("portforward", pod(), node(), "ports=80")
    assert forward.path == "/portForward/a/p?port=80"
    with pytest.raises(ApiError, match="does not have a host assigned"):
        proxy_targets.stream_target("attach", pod(nodeName=None), None, "stdout=1")
    with pytest.raises(ApiError, match="at least one of stdin, stdout, stderr"):
        proxy_targets.stream_target("attach", pod(), node(), "")


def test_services_reach_a_ready_endpoint_by_port_name() -> None:
    service = core_v1.Service(spec=core_v1.ServiceSpec(ports=[core_v1.ServicePort(name="web", port=80)]))
    ready, not_ready = discovery_v1.EndpointConditions(ready=True), discovery_v1.EndpointConditions(ready=False)
    part = discovery_v1.EndpointSlice(
        metadata=meta_v1.ObjectMeta(labels={"kubernetes.io/service-name": "s"}),
        addressType="IPv4",
        ports=[discovery_v1.EndpointPort(name="web", port=8080)],
        endpoints=[
            discovery_v1.Endpoint(addresses=["10.1.0.1"], conditions=not_ready),
            discovery_v1.Endpoint(addresses=["10.1.0.2"], conditions=ready),
        ],
    )
    target = proxy_targets.service_target(service, [part], "https:s:web", "/x", "y=1", lambda count: count - 1)
    assert target == Target(host="10.1.0.2", port=8080, path="/x?y=1", https=True)
    with pytest.raises(ApiError, match='no endpoints available for service "s"'):
        proxy_targets.service_target(service, [], "s", "/", "", lambda count: 0)
    with pytest.raises(ApiError, match='no service port "z" found for service "s"'):
        proxy_targets.service_target(service, [part], "s:z", "/", "", lambda count: 0)


def test_credentials_stay_here() -> None:
    sent = [
        ("Authorization", "Bearer x"),
        ("Host", "h"),
        ("Connection", "Upgrade"),
        ("Impersonate-User", "u"),
        ("X-A", "1"),
    ]
    assert proxy_targets.forwarded_headers(sent) == [("X-A", "1")]
