"""The texts that say why a pod has no node, as clients match them."""

from __future__ import annotations

from collections.abc import Mapping

from tiphys.scheduler.cycle import Diagnosis

NO_NODES = "no nodes available to schedule pods"
NOT_HELPFUL = "Preemption is not helpful for scheduling"
NO_VICTIMS = "No preemption victims found for incoming pod"


def _counted(node_count: int, reasons: Mapping[str, int]) -> str:
    text = f"0/{node_count} nodes are available:"
    counted = sorted(f"{number} {reason}" for reason, number in reasons.items())
    return f"{text} {', '.join(counted)}." if counted else text


def failed_scheduling(diagnosis: Diagnosis, preemption: str = "") -> str:
    """The message of the event and of the PodScheduled condition. `preemption` is what `preemption_failed` or
    `not_eligible` says, "" when preemption found victims."""
    if diagnosis.node_count == 0:
        return NO_NODES
    if diagnosis.refusal:
        text = f"0/{diagnosis.node_count} nodes are available: {diagnosis.refusal}."
    else:
        text = _counted(diagnosis.node_count, diagnosis.reasons)
    return f"{text} {preemption}" if preemption else text


def preemption_failed(node_count: int, reasons: Mapping[str, int]) -> str:
    """`preemption: 0/3 nodes are available: ...`"""
    return f"preemption: {_counted(node_count, reasons)}"


def not_eligible(reason: str) -> str:
    return f"preemption: {reason}"
