"""Leases: who holds something and until when. Leaders and node heartbeats use them."""

from __future__ import annotations

from tiphys.kinds import cells, unserved
from tiphys.kinds.object_meta import label_key_findings
from tiphys.kinds.strategy import Strategy
from tiphys.kinds.types.coordination_v1 import Lease
from tiphys.machinery.field_errors import FieldError, Path, forbidden, invalid, not_supported, required

SPEC = Path("spec")


def validate(lease: Lease) -> list[FieldError]:
    found: list[FieldError] = []
    spec = lease.spec
    if spec.leaseDurationSeconds is not None and spec.leaseDurationSeconds <= 0:
        found.append(invalid(SPEC.child("leaseDurationSeconds"), spec.leaseDurationSeconds, "must be greater than 0"))
    if spec.leaseTransitions is not None and spec.leaseTransitions < 0:
        detail = "must be greater than or equal to 0"
        found.append(invalid(SPEC.child("leaseTransitions"), spec.leaseTransitions, detail))
    if spec.strategy is not None:
        if not spec.strategy:
            found.append(required(SPEC.child("strategy")))
        elif "/" in spec.strategy:
            found += [
                invalid(SPEC.child("strategy"), spec.strategy, text) for text in label_key_findings(spec.strategy)
            ]
        elif spec.strategy != "OldestEmulationVersion":
            found.append(not_supported(SPEC.child("strategy"), spec.strategy, ("OldestEmulationVersion",)))
    if spec.preferredHolder and not spec.strategy:
        detail = "may only be specified when `strategy` is defined"
        found.append(forbidden(SPEC.child("preferredHolder"), detail))
    return found


def warnings(lease: Lease, old: Lease | None) -> list[str]:
    fields = ("strategy", "preferredHolder")
    return [f"{SPEC.child(field)}: {unserved.ELECTION}" for field in fields if getattr(lease.spec, field) is not None]


STRATEGY: Strategy[Lease] = Strategy(
    warnings=warnings,
    validate=validate,
    columns=(
        cells.name_column(),
        cells.text("Holder", lambda lease: lease.spec.holderIdentity or ""),
        cells.age_column(),
    ),
    has_generation=False,
    has_status=False,
    allow_create_on_update=True,
    qualified_finalizers=False,
)
