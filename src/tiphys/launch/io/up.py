"""Brings a cluster up, step by step, and takes it down; the command line shows the steps.

`bring_up` is idempotent: what stands is kept, what is missing is made, what was killed is started again. The control
plane starts as soon as its keys are there; the network is made meanwhile.
"""

from __future__ import annotations

import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping

import msgspec

from tiphys.launch.cluster import CONTROL_PLANE, KUBELET_PORT, Cluster, Layout, agent_unit, settings_findings
from tiphys.launch.io import claims, state
from tiphys.launch.io.admin import AdminClient, ApiUnreachable, is_ready
from tiphys.linux.io import processes

Report = Callable[[str], None]
POLL_SECONDS = 0.02
API_TIMEOUT_SECONDS = 60.0
NODE_TIMEOUT_SECONDS = 120.0
STOP_TIMEOUT_SECONDS = 60.0


class LaunchError(Exception):
    """The cluster could not be started or stopped; the message says what to look at."""


def prepare(layout: Layout, nodes: int, token_file: str | None) -> Cluster:
    """The cluster's settings, chosen and saved when it is new; a `token_file` of None stays as it was. LaunchError,
    BadState."""
    existing = state.load(layout)
    findings = settings_findings(layout.state, nodes, existing)
    if findings:
        raise LaunchError("; ".join(findings))
    others = {directory: each for directory, each in claims.claimed().items() if directory != layout.state}
    if existing is None:
        number = state.free_number({each.number for each in others.values()})
        port = state.free_port(taken={each.api_port for each in others.values()})
        cluster = Cluster(number=number, nodes=nodes, api_port=port)
    else:
        refuse_conflicts(layout, existing, others)
        cluster = msgspec.structs.replace(existing, nodes=nodes)
    if token_file is not None:
        cluster = msgspec.structs.replace(cluster, token_file=token_file)
    if cluster != existing:
        state.save(layout, cluster)
    claims.claim(cluster, layout.state)
    return cluster


def refuse_conflicts(layout: Layout, cluster: Cluster, others: Mapping[pathlib.Path, Cluster]) -> None:
    """LaunchError when somebody else has this cluster's networks or its port."""
    for directory, other in others.items():
        if other.number == cluster.number:
            raise LaunchError(
                f"the cluster in {directory} has the networks of this one (number {cluster.number}): "
                f"remove it first with `tiphys --state {directory} down --purge`"
            )
    if processes.running_pid(layout.unit_pid(CONTROL_PLANE)) is None and not state.is_free(cluster.api_port):
        raise LaunchError(f"port {cluster.api_port}, this cluster's, is in use by another process: see `ss -tlnp`")


def ensure_keys(layout: Layout, cluster: Cluster, now: float) -> None:
    """Keys, certificates and kubeconfigs of the control plane and of every node."""
    from tiphys.pki.io import ensure_cluster_pki
    from tiphys.pki.layout import NodeOptions, PkiOptions

    nodes = tuple(
        NodeOptions(name=node.name, addresses=(node.address,), server=cluster.node_api_url)
        for node in cluster.node_list()
    )
    options = PkiOptions(
        cluster=cluster.name,
        server=cluster.api_url,
        node_server=cluster.node_api_url,
        addresses=("127.0.0.1", cluster.host_address),
        service_cidrs=(cluster.service_cidr,),
        cluster_domain=cluster.domain,
        nodes=nodes,
    )
    ensure_cluster_pki(layout.state, options, now)


def ensure_network(cluster: Cluster) -> None:
    """The bridge, the nodes' namespaces and the routes. LaunchError."""
    from tiphys.network.io.machine import MachineNetwork, MachineNetworkError

    try:
        MachineNetwork(cluster.identifier).ensure(cluster.node_names(), cluster.number)
    except MachineNetworkError as error:
        raise LaunchError(f"the network cannot be made: {error}") from error


def start_supervisor(layout: Layout) -> int:
    """Start the supervisor, or tell the one that runs to read its settings again; its pid."""
    pid = processes.running_pid(layout.supervisor_pid)
    if pid is not None:
        processes.send_signal(pid, signal.SIGHUP)
        return pid
    command = [sys.executable, "-m", "tiphys.launch.io.supervisor", str(layout.state)]
    # It inherits the mask: a SIGHUP that comes before it listens waits for it instead of ending it.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    try:
        pid = processes.spawn(command, layout.supervisor_log, dict(os.environ))
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    processes.write_pid_file(layout.supervisor_pid, pid)
    return pid


def bring_up(state_directory: pathlib.Path, nodes: int, report: Report, token_file: str | None = None) -> Cluster:
    """Start everything and return when every node is Ready. LaunchError, BadState."""
    layout = Layout(state_directory)
    began = time.monotonic()
    with state.machine_lock():
        cluster = prepare(layout, nodes, token_file)
        ensure_keys(layout, cluster, time.time())
        supervisor = start_supervisor(layout)
        ensure_network(cluster)
    processes.send_signal(supervisor, signal.SIGHUP)  # the namespaces are there: agents may start
    wait_for_api(layout, supervisor)
    report(f"API server ready at {cluster.api_url} ({time.monotonic() - began:.1f} s)")
    wait_for_nodes(layout, cluster, supervisor)
    wait_for_agents(layout, cluster, supervisor)
    word = "node" if cluster.nodes == 1 else "nodes"
    report(f"{cluster.nodes} {word} Ready ({time.monotonic() - began:.1f} s)")
    return cluster


def wait_for_api(layout: Layout, supervisor: int) -> None:
    """Until /readyz says ok. LaunchError when the supervisor ends or the time is over."""
    client = AdminClient(layout, timeout_seconds=5)
    deadline = time.monotonic() + API_TIMEOUT_SECONDS
    while True:
        try:
            code, _ = client.call("GET", "/readyz")
        except ApiUnreachable:
            code = 0
        if code == 200:
            client.close()
            return
        check_alive(layout, supervisor)
        if time.monotonic() > deadline:
            log = layout.unit_log(CONTROL_PLANE)
            raise LaunchError(f"the API server is not ready after {API_TIMEOUT_SECONDS:.0f} s; see {log}")
        time.sleep(POLL_SECONDS)


def wait_for_nodes(layout: Layout, cluster: Cluster, supervisor: int) -> None:
    """Until every node of the cluster is Ready, by a watch on Nodes."""
    wanted = set(cluster.node_names())
    ready: set[str] = set()
    deadline = time.monotonic() + NODE_TIMEOUT_SECONDS
    client = AdminClient(layout, timeout_seconds=15)
    while time.monotonic() < deadline:
        check_alive(layout, supervisor)
        try:
            for event in client.watch("/api/v1/nodes", timeout_seconds=5):
                node = event.get("object") or {}
                name = (node.get("metadata") or {}).get("name", "")
                (ready.add if event["type"] != "DELETED" and is_ready(node) else ready.discard)(name)
                if wanted <= ready:
                    return
        except ApiUnreachable:
            time.sleep(POLL_SECONDS)
    missing = sorted(wanted - ready)
    logs = ", ".join(str(layout.unit_log(agent_unit(name))) for name in missing)
    raise LaunchError(f"not Ready after {NODE_TIMEOUT_SECONDS:.0f} s: {', '.join(missing)}; see {logs}")


def wait_for_agents(layout: Layout, cluster: Cluster, supervisor: int) -> None:
    """Until every kubelet answers: a node whose agent was killed counts as Ready for a while yet."""
    deadline = time.monotonic() + NODE_TIMEOUT_SECONDS
    for node in cluster.node_list():
        while True:
            try:
                socket.create_connection((node.address, KUBELET_PORT), timeout=5).close()
                break
            except OSError as error:
                check_alive(layout, supervisor)
                if time.monotonic() > deadline:
                    log = layout.unit_log(agent_unit(node.name))
                    raise LaunchError(f"the agent of {node.name} does not answer: {error}; see {log}") from error
            time.sleep(POLL_SECONDS)


def check_alive(layout: Layout, supervisor: int) -> None:
    if processes.identity_of(supervisor) is None:
        raise LaunchError(f"the supervisor ended; see {layout.supervisor_log}")


def stop_processes(layout: Layout, cluster: Cluster) -> None:
    """End the supervisor and with it the units; then whatever a killed supervisor left."""
    supervisor = processes.running_pid(layout.supervisor_pid)
    if supervisor is not None:
        processes.send_signal(supervisor, signal.SIGTERM)
        if not processes.wait_gone(supervisor, STOP_TIMEOUT_SECONDS):
            raise LaunchError(f"the supervisor (pid {supervisor}) does not stop; see {layout.supervisor_log}")
    units = [agent_unit(name) for name in cluster.node_names()] + [CONTROL_PLANE]
    left = {pid for unit in units if (pid := processes.running_pid(layout.unit_pid(unit))) is not None}
    for pid in left:
        processes.send_signal(pid, signal.SIGTERM)
    for pid in left:
        if not processes.wait_gone(pid, STOP_TIMEOUT_SECONDS):
            processes.send_signal(pid, signal.SIGKILL)
            processes.wait_gone(pid, STOP_TIMEOUT_SECONDS)
    for unit in units:
        layout.unit_pid(unit).unlink(missing_ok=True)


def take_down(state_directory: pathlib.Path, purge: bool, report: Report) -> None:
    """Stop everything: processes, containers, mounts, namespaces, rules. The state stays unless `purge`."""
    layout = Layout(state_directory)
    cluster = state.load(layout)
    if cluster is None:
        raise LaunchError(f"no cluster in {state_directory}")
    stop_processes(layout, cluster)
    report("processes stopped")
    from tiphys.launch.io.remove import remove_node
    from tiphys.network.io.machine import MachineNetwork

    for node in cluster.node_list():
        remove_node(layout, node)
    report("containers, mounts and cgroups removed")
    MachineNetwork(cluster.identifier).remove()
    report("network removed")
    if purge:
        subprocess.run(["rm", "-rf", "--one-file-system", str(layout.state)], check=True)
        claims.release(cluster, layout.state)
        report(f"{layout.state} removed")
