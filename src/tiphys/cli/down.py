"""`tiphys down`: stops the cluster and leaves nothing running."""

from __future__ import annotations

import pathlib

import click

from tiphys.launch.io.up import take_down


@click.command()
@click.option("--purge", is_flag=True, help="Remove the state directory too: the cluster's objects, keys and images.")
@click.pass_obj
def down(state: pathlib.Path, purge: bool) -> None:
    """Stop the cluster: its processes, containers, mounts, network namespaces and rules. Its state stays for the next
    `up`."""
    take_down(state, purge, click.echo)
