"""get, list by page, by label and as a whole, and the memory that objects take."""

from __future__ import annotations

from bench.api.objects import config_map, pod
from bench.api.server import Load, Server, show_load
from bench.figures import show

LIST_SIZE = 10_834
SELECTED = 100
PODS = 8_500


def _filled(server: Server) -> str:
    """The path of a namespace with LIST_SIZE ConfigMaps, SELECTED of them with the label chosen=yes."""
    base = server.namespace("bench-list")
    listed = server.call("GET", f"{base}/configmaps?limit=1")
    if b'"items":[]' in listed:
        bodies = [config_map(f"cm-{n:05}") for n in range(LIST_SIZE)]
        for body in bodies[:: LIST_SIZE // SELECTED][:SELECTED]:
            body["metadata"]["labels"] = {"chosen": "yes"}
        server.fill(f"{base}/configmaps", bodies)
    return base


def listing(server: Server, runs: int) -> None:
    base = f"{_filled(server)}/configmaps"
    one = [server.wrk(Load(path=f"{base}/cm-00042")) for _ in range(runs)]
    show_load("get one object, 32 connections", one, "2,780", "53")
    many = [server.wrk(Load(path=base, connections=8)) for _ in range(runs)]
    show_load(f"list {LIST_SIZE} ConfigMaps, 8 connections", many, "12.3")
    show("  of bytes", [found.megabytes for found in many], "MB/s", "81")
    some = [server.wrk(Load(path=f"{base}?limit=500", connections=8)) for _ in range(runs)]
    show_load("list 500 of them, 8 connections", some, "110")
    chosen = [server.wrk(Load(path=f"{base}?labelSelector=chosen%3Dyes", connections=8)) for _ in range(runs)]
    show_load(f"list {SELECTED} of {LIST_SIZE} by label, 8 connections", chosen)


def memory(server: Server, runs: int) -> None:
    base = _filled(server)
    server.fill(f"{base}/pods", [pod(f"p-{n:05}") for n in range(PODS)])
    show(f"memory after {LIST_SIZE} ConfigMaps + {PODS} Pods", [server.resident_mib], "MiB", "900")


ROWS = {"list": listing, "memory": memory}
