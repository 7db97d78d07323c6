"""`tiphys image load FILE`: imports an image archive (OCI or docker save) into every node."""

from __future__ import annotations

import pathlib
import shutil
import subprocess

import click

from tiphys.launch.cluster import Layout
from tiphys.launch.io import state as cluster_state

NAMESPACE = "k8s.io"


@click.group()
def image() -> None:
    """Load container images into the nodes."""


@image.command()
@click.argument("archives", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=pathlib.Path))
@click.option("--node", "only", multiple=True, help="Only these nodes (default: all, one after the other).")
@click.pass_obj
def load(state: pathlib.Path, archives: tuple[pathlib.Path, ...], only: tuple[str, ...]) -> None:
    """Import image archives (tar files, OCI or `docker save`)."""
    load_archives(state, archives, only)


def load_archives(state: pathlib.Path, archives: tuple[pathlib.Path, ...], only: tuple[str, ...] = ()) -> None:
    """Import archives into the nodes of a cluster; ClickException with containerd's words when it refuses one."""
    layout = Layout(state)
    cluster = cluster_state.load(layout)
    if cluster is None:
        raise click.ClickException(f"no cluster in {state}; start one with `tiphys up`")
    names = [node.name for node in cluster.node_list()]
    unknown = sorted(set(only) - set(names))
    if unknown:
        raise click.ClickException(f"no such node: {', '.join(unknown)} (there are {', '.join(names)})")
    ctr = shutil.which("ctr", path="/usr/bin:/usr/local/bin:/usr/sbin")
    if ctr is None:
        raise click.ClickException("ctr is not installed; it comes with containerd")
    for name in names:
        if only and name not in only:
            continue
        for archive in archives:
            _import(ctr, layout.containerd_socket(name), archive)
            click.echo(f"{name}: loaded {archive.name}")


def _import(ctr: str, socket: pathlib.Path, archive: pathlib.Path) -> None:
    command = [ctr, "--address", str(socket), "--namespace", NAMESPACE, "images", "import", str(archive)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise click.ClickException(f"cannot load {archive}: {result.stderr.strip() or result.stdout.strip()}")
