"""What a ResourceQuota costs those who write in its namespace."""

from __future__ import annotations

from bench.api.objects import pod
from bench.api.server import Load, Server, show_load

PODS = 5_000
HARD = {"pods": "1000000", "requests.cpu": "1000000", "requests.memory": "1000Ti", "count/pods": "1000000"}


def pods(server: Server, runs: int) -> None:
    base = server.namespace("bench-quota")
    server.fill(f"{base}/pods", [pod(f"p-{n:05}") for n in range(PODS)])
    server.call("POST", f"{base}/resourcequotas", {"metadata": {"name": "all"}, "spec": {"hard": HARD}})
    found = [
        server.wrk(Load(method="POST", path=f"{base}/pods", body=pod("NAME"), prefix=f"r{run}-")) for run in range(runs)
    ]
    show_load(f"create Pod beside {PODS} in a namespace with a quota", found)


ROWS = {"quota": pods}
