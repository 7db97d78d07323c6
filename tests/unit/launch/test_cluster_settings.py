from __future__ import annotations

import pathlib

from tiphys.launch.cluster import Cluster, ClusterNode, Layout, settings_findings
from tiphys.launch.supervision import Unit
from tiphys.launch.units import units_of

STATE = pathlib.Path("/var/lib/tiphys")


def test_clusters_with_other_numbers_share_no_network() -> None:
    first, second = (Cluster(number=n, nodes=2, api_port=6443 + n) for n in (0, 1))
    assert (first.host_address, first.pod_cidr, first.service_cidr) == ("10.201.0.1", "10.244.0.0/16", "10.96.0.0/16")
    assert (second.host_address, second.pod_cidr, second.service_cidr) == (
        "10.201.1.1",
        "10.243.0.0/16",
        "10.97.0.0/16",
    )
    assert (first.kubernetes_address, first.dns_address) == ("10.96.0.1", "10.96.0.10")
    assert second.node("node-2") == ClusterNode(
        name="node-2", address="10.201.1.11", namespace="tiphys-c1-node-2", cgroup="/tiphys1-node-2"
    )


def test_units_are_the_control_plane_and_one_agent_a_node_inside_its_namespace() -> None:
    cluster = Cluster(number=0, nodes=1, api_port=6443)
    assert units_of(cluster, Layout(STATE), "/usr/bin/python3") == [
        Unit(
            name="control-plane",
            command=("/usr/bin/python3", "-m", "tiphys.launch.control_plane", "/var/lib/tiphys"),
        ),
        Unit(
            name="agent-node-1",
            command=(
                *("nsenter", "--net=/run/netns/tiphys-c0-node-1", "--"),
                *("/usr/bin/python3", "-m", "tiphys.launch.agent", "/var/lib/tiphys", "node-1"),
            ),
            requires=("/run/netns/tiphys-c0-node-1", "/var/lib/tiphys/kubeconfigs/node-node-1.conf"),
        ),
    ]


def test_impossible_wishes_are_refused_with_the_reason() -> None:
    three = Cluster(number=0, nodes=3, api_port=6443)
    assert settings_findings(STATE, 3, three) == []
    assert settings_findings(STATE, 0, None) == ["--nodes must be between 1 and 200"]
    (shrink,) = settings_findings(STATE, 2, three)
    assert shrink.startswith("this cluster has 3 nodes and cannot shrink to 2")
    (long,) = settings_findings(pathlib.Path("/tmp/" + "x" * 120), 1, None)
    assert "too long for unix sockets" in long
