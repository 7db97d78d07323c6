"""How a figure is printed: its name, median with minimum and maximum over the runs, the unit, and what the Go peer
reached.

The peer's figures are those of Kubernetes 1.20.2 with etcd 3.4 on the same kind of machine (2 cores, 24 GiB).
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence


def show(name: str, values: Sequence[float], unit: str, peer: str = "") -> None:
    """One line: `name  median (minimum .. maximum) unit  [peer ...]`."""
    middle = statistics.median(values)
    spread = f"({_number(min(values))} .. {_number(max(values))})" if len(values) > 1 else "(one run)"
    line = f"{name:58} {_number(middle):>9} {spread:22} {unit}"
    print(f"{line}   peer {peer}" if peer else line, flush=True)


def _number(value: float) -> str:
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 10 else f"{value:.1f}"
