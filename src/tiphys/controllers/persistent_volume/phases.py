"""Writing a volume's phase."""

from __future__ import annotations

from tiphys.controllers.actions import Action, UpdateStatus
from tiphys.kinds import codec
from tiphys.kinds.types.core_v1 import PersistentVolume
from tiphys.machinery import timestamps


def volume_phase(volume: PersistentVolume, phase: str, now: float, message: str = "") -> list[Action]:
    """Nothing when the volume says so already."""
    if volume.status.phase == phase and (volume.status.message or "") == message:
        return []
    changed = codec.copy(volume)
    if volume.status.phase != phase:
        changed.status.lastPhaseTransitionTime = timestamps.time_of(now)
    changed.status.phase, changed.status.message = phase, message or None
    return [UpdateStatus(object=changed)]
