"""A custom resource beside a built-in one of the same size: it may cost at most twice as much.

Each pair of loads runs in turn, so that both see the same machine.
"""

from __future__ import annotations

import time
import urllib.error
from collections.abc import Sequence

from bench.api.objects import NOTES, config_map, note
from bench.api.server import Figures, Load, Server, show_load
from bench.api.writes import APPLIED, APPLY, MERGE_PATCH, NAMES
from bench.figures import show

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
LISTED = 500


def served(server: Server) -> None:
    """Define the custom resource, unless it is there, and wait until it is served."""
    try:
        server.call("POST", DEFINITIONS, NOTES)
    except urllib.error.HTTPError as error:
        if error.code != 409:
            raise
    while True:
        try:
            server.call("GET", "/apis/bench.example.com/v1/notes")
            return
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
            time.sleep(0.05)


def compare(name: str, pairs: Sequence[tuple[Figures, Figures]]) -> None:
    """Print the figures of both of each pair, and the ratio of what they cost."""
    show_load(f"{name} ConfigMap", [builtin for builtin, _ in pairs])
    show_load(f"{name} custom resource", [custom for _, custom in pairs])
    show(
        "  costs so many times as much", [custom.cost_us / builtin.cost_us for builtin, custom in pairs], "(at most 2)"
    )


def rows(server: Server, runs: int) -> None:
    served(server)
    base = server.namespace("bench-custom")
    maps, notes = f"{base}/configmaps", "/apis/bench.example.com/v1/namespaces/bench-custom/notes"
    server.fill(maps, [config_map(f"n-{n}") for n in range(NAMES)])
    server.fill(notes, [note(f"n-{n}") for n in range(NAMES)])

    def pairs(*loads: Load) -> list[tuple[Figures, Figures]]:
        builtin, custom = loads
        return [(server.wrk(builtin), server.wrk(custom)) for _ in range(runs)]

    compare("get one", pairs(*(Load(path=f"{path}/n-42") for path in (maps, notes))))
    compare(f"list {LISTED},", pairs(*(Load(path=f"{path}?limit={LISTED}", connections=8) for path in (maps, notes))))
    patches = [{"data": {"n": "NUMBER"}}, {"spec": {"size": "NUMBER"}}]
    bodies = [config_map("NAME", n="NUMBER"), note("NAME", "NUMBER")]
    for name, media, both, query in (
        ("merge patch of one", MERGE_PATCH, patches, ""),
        ("apply with a change,", APPLY, bodies, f"?{APPLIED}"),
    ):
        changed = [
            Load(method="PATCH", path=f"{path}/NAME{query}", media=media, body=body, prefix="n-", names=NAMES)
            for path, body in zip((maps, notes), both, strict=True)
        ]
        compare(name, pairs(*changed))


def creates(server: Server, runs: int) -> None:
    served(server)
    pairs: list[tuple[Figures, Figures]] = []
    for run in range(runs):
        base = server.namespace(f"bench-custom-{run}")
        notes = f"/apis/bench.example.com/v1/namespaces/bench-custom-{run}/notes"
        loads = ((f"{base}/configmaps", config_map("NAME")), (notes, note("NAME")))
        builtin, custom = (server.wrk(Load(method="POST", path=path, body=body, prefix="n-")) for path, body in loads)
        pairs.append((builtin, custom))
    compare("create one", pairs)


ROWS = {"custom": rows, "custom-create": creates}
