"""Scales: how many replicas something has, whatever it is. They are shown, never stored."""

from __future__ import annotations

from tiphys.kinds import cells
from tiphys.kinds.strategy import Strategy
from tiphys.kinds.types.autoscaling_v1 import Scale

STRATEGY: Strategy[Scale] = Strategy(
    columns=(
        cells.name_column(),
        cells.number("Desired", lambda scale: scale.spec.replicas),
        cells.number("Available", lambda scale: scale.status.replicas),
        cells.age_column("date"),
    ),
)
