"""Bindings: the scheduler's word that a pod belongs to a node. They are carried out, never stored."""

from __future__ import annotations

from tiphys.kinds.strategy import Strategy
from tiphys.kinds.types.core_v1 import Binding
from tiphys.machinery.field_errors import FieldError, Path, not_supported, required

TARGET = Path("target")


def validate(binding: Binding) -> list[FieldError]:
    found: list[FieldError] = []
    if binding.target.kind not in (None, "", "Node"):
        found.append(not_supported(TARGET.child("kind"), binding.target.kind, ("Node", "<empty>")))
    if not binding.target.name:
        found.append(required(TARGET.child("name")))
    return found


STRATEGY: Strategy[Binding] = Strategy(validate=validate, has_generation=False, has_status=False)
