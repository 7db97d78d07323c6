"""Which clusters this machine has, running or not: a file a cluster, named by its number, with its state directory.

A cluster keeps its number and its port from its first start until it is purged, so a new one does not take what a
stopped one will want back. The files are lost with a reboot; a cluster claims its number again when it is started.
"""

from __future__ import annotations

import pathlib

from tiphys.launch.cluster import Cluster, Layout
from tiphys.launch.io import state

CLAIMS = pathlib.Path("/run/tiphys/clusters")


def claimed() -> dict[pathlib.Path, Cluster]:
    """The claims that still hold: state directory to cluster. One whose directory is gone or holds another cluster by
    now holds no more."""
    found = {}
    for path in sorted(CLAIMS.glob("*")):
        directory = pathlib.Path(path.read_text().strip())
        try:
            cluster = state.load(Layout(directory))
        except state.BadState:
            continue
        if cluster is not None and path.name == str(cluster.number):
            found[directory] = cluster
    return found


def claim(cluster: Cluster, directory: pathlib.Path) -> None:
    CLAIMS.mkdir(parents=True, exist_ok=True)
    (CLAIMS / str(cluster.number)).write_text(f"{directory}\n")


def release(cluster: Cluster, directory: pathlib.Path) -> None:
    """Give the number back, if it is this directory's."""
    path = CLAIMS / str(cluster.number)
    if path.is_file() and path.read_text().strip() == str(directory):
        path.unlink()
