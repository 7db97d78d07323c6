"""`tiphys up`: starts or resumes the cluster."""

from __future__ import annotations

import pathlib
import signal
import time

import click

from tiphys.cli.doctor import lacking
from tiphys.launch.cluster import Layout
from tiphys.launch.io import state as cluster_state
from tiphys.launch.io.up import bring_up, stop_processes
from tiphys.linux.io import processes


@click.command()
@click.option("--detach", "-d", is_flag=True, help="Return when the cluster runs; `tiphys down` stops it.")
@click.option("--nodes", type=int, default=None, help="How many nodes (default: as before, 1 at first).")
@click.option(
    "--token-file",
    type=click.Path(exists=True, dir_okay=False, resolve_path=True),
    default=None,
    help='Static tokens: lines of token,user,uid,"group,group" (read when the control plane starts).',
)
@click.pass_obj
def up(state: pathlib.Path, detach: bool, nodes: int | None, token_file: str | None) -> None:
    """Start the cluster, or resume it; ends by saying how to use it.

    In the foreground the cluster runs until Ctrl-C, which stops its processes as `tiphys down` does, but leaves the
    containers running for the next `tiphys up`.
    """
    missing = lacking()
    if missing:
        lines = [f"  {finding.name}: {finding.found} -> {finding.remedy}" for finding in missing]
        raise click.ClickException("this machine lacks something (see `tiphys doctor`):\n" + "\n".join(lines))
    existing = cluster_state.load(Layout(state))
    wanted = nodes if nodes is not None else existing.nodes if existing else 1
    cluster = bring_up(state, wanted, click.echo, token_file)
    click.echo("\nThe cluster runs. To use it:\n")
    click.echo(f"  export KUBECONFIG={Layout(state).kubeconfig}")
    click.echo("  kubectl get nodes          # or: tiphys kubectl get nodes\n")
    if detach:
        return
    click.echo("Ctrl-C stops it.")
    wait_in_foreground(Layout(state))
    click.echo("stopping ...")
    stop_processes(Layout(state), cluster)


def wait_in_foreground(layout: Layout) -> None:
    """Until Ctrl-C or SIGTERM, or until the supervisor ends by itself."""
    interrupted: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda got, _: interrupted.append(got))
    pid = processes.running_pid(layout.supervisor_pid)
    while pid is not None and not interrupted and processes.identity_of(pid) is not None:
        time.sleep(0.5)
