"""The processes of a cluster: one control plane, one agent a node, each agent in its node's network namespace."""

from __future__ import annotations

from tiphys.launch.cluster import CONTROL_PLANE, Cluster, Layout, agent_unit
from tiphys.launch.supervision import Unit

# gRPC's core would write its own remarks to the units' logs.
ENVIRONMENT = {"GRPC_VERBOSITY": "ERROR", "GRPC_ENABLE_FORK_SUPPORT": "0"}


def units_of(cluster: Cluster, layout: Layout, python: str) -> list[Unit]:
    """In the order of their start. An agent waits for its namespace and for its kubeconfig, which the control plane
    writes."""
    state = str(layout.state)
    units = [Unit(name=CONTROL_PLANE, command=(python, "-m", "tiphys.launch.control_plane", state))]
    for node in cluster.node_list():
        enter = ("nsenter", f"--net={node.namespace_path}", "--")
        units.append(
            Unit(
                name=agent_unit(node.name),
                command=(*enter, python, "-m", "tiphys.launch.agent", state, node.name),
                requires=(node.namespace_path, str(layout.node_kubeconfig(node.name))),
            )
        )
    return units
