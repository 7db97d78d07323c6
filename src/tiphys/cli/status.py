"""`tiphys status`: the processes and the nodes of the cluster."""

from __future__ import annotations

import pathlib

import click

from tiphys.cli.image import existing_cluster
from tiphys.launch.cluster import CONTROL_PLANE, Cluster, Layout, agent_unit
from tiphys.launch.io.admin import AdminClient, ApiUnreachable, is_ready
from tiphys.linux.io import processes


@click.command()
@click.pass_obj
def status(state: pathlib.Path) -> None:
    """Show the processes and nodes of the cluster. Exit code 1 when something does not run."""
    layout = Layout(state)
    cluster = existing_cluster(state)
    click.echo(f"cluster {cluster.name}  state {state}  API {cluster.api_url}")
    good = show_processes(layout, cluster)
    good = show_nodes(layout) and good
    raise SystemExit(0 if good else 1)


def show_processes(layout: Layout, cluster: Cluster) -> bool:
    units = {CONTROL_PLANE: layout.unit_pid(CONTROL_PLANE)}
    units |= {agent_unit(n.name): layout.unit_pid(agent_unit(n.name)) for n in cluster.node_list()}
    pids = {"supervisor": processes.running_pid(layout.supervisor_pid)}
    pids |= {name: processes.running_pid(path) for name, path in units.items()}
    for name, pid in pids.items():
        click.echo(f"  {name:16} {f'running (pid {pid})' if pid else 'not running'}")
    return all(pids.values())


def show_nodes(layout: Layout) -> bool:
    try:
        code, answer = AdminClient(layout, timeout_seconds=5).call("GET", "/api/v1/nodes")
    except (ApiUnreachable, FileNotFoundError) as error:
        click.echo(f"  API server: does not answer ({error})")
        return False
    if code != 200:
        click.echo(f"  API server: {answer.get('message', code) if isinstance(answer, dict) else code}")
        return False
    for node in answer["items"]:
        addresses = {a["type"]: a["address"] for a in node["status"].get("addresses") or ()}
        ready = "Ready" if is_ready(node) else "NotReady"
        click.echo(f"  node {node['metadata']['name']:11} {ready:9} {addresses.get('InternalIP', '')}")
    return all(is_ready(node) for node in answer["items"])
