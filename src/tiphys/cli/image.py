"""`tiphys image load FILE`: imports an image archive (OCI or docker save) into every node."""

from __future__ import annotations

import asyncio
import pathlib
import tempfile

import click

from tiphys.launch.cluster import Cluster, Layout
from tiphys.launch.io import state as cluster_state


@click.group()
def image() -> None:
    """Load container images into the nodes."""


@image.command()
@click.argument(
    "archives", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=pathlib.Path)
)
@click.option("--node", "only", multiple=True, help="Only these nodes (default: all, one after the other).")
@click.pass_obj
def load(state: pathlib.Path, archives: tuple[pathlib.Path, ...], only: tuple[str, ...]) -> None:
    """Import image archives (tar files, OCI or `docker save`)."""
    load_archives(state, archives, only)


@image.command("load-sample")
@click.pass_obj
def load_sample(state: pathlib.Path) -> None:
    """Build the sample application's image and load it."""
    load_sample_image(state)


def load_sample_image(state: pathlib.Path) -> None:
    """ClickException when there is no static busybox to build it from."""
    from tiphys.runtime.io.images import ImageError, build_sample_archive

    try:
        content = build_sample_archive()
    except ImageError as error:
        raise click.ClickException(str(error)) from error
    with tempfile.NamedTemporaryFile(prefix="tiphys-sample-", suffix=".tar") as archive:
        archive.write(content)
        archive.flush()
        load_archives(state, (pathlib.Path(archive.name),))


def existing_cluster(state: pathlib.Path) -> Cluster:
    """ClickException when there is none."""
    cluster = cluster_state.load(Layout(state))
    if cluster is None:
        raise click.ClickException(f"no cluster in {state}; start one with `tiphys up`")
    return cluster


def load_archives(state: pathlib.Path, archives: tuple[pathlib.Path, ...], only: tuple[str, ...] = ()) -> None:
    """Import archives into the nodes of a cluster; ClickException with containerd's words when it refuses one."""
    from tiphys.runtime.io.containerd import ContainerdPaths
    from tiphys.runtime.io.images import ImageError, import_archive

    layout, cluster = Layout(state), existing_cluster(state)
    names = cluster.node_names()
    unknown = sorted(set(only) - set(names))
    if unknown:
        raise click.ClickException(f"no such node: {', '.join(unknown)} (there are {', '.join(names)})")
    for name in only or names:
        socket = ContainerdPaths(directory=layout.containerd(name)).socket
        for archive in archives:
            try:
                references = asyncio.run(import_archive(str(socket), archive))
            except ImageError as error:
                raise click.ClickException(f"{name}: cannot load {archive}: {error}") from error
            click.echo(f"{name}: loaded {', '.join(references)}")
