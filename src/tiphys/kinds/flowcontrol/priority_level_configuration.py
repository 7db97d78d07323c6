"""PriorityLevelConfigurations: how many requests of a level run at once, and how the others wait."""

from __future__ import annotations

import math

from msgspec.structs import replace

from tiphys.kinds import cells, unserved
from tiphys.kinds.equality import same
from tiphys.kinds.flowcontrol import mandatory
from tiphys.kinds.flowcontrol.status_validation import validate_status_update
from tiphys.kinds.spec_and_status import clear_status, keep_spec_and_metadata, keep_status
from tiphys.kinds.strategy import Strategy
from tiphys.kinds.types.flowcontrol_v1 import (
    ExemptPriorityLevelConfiguration,
    LimitedPriorityLevelConfiguration,
    PriorityLevelConfiguration,
    QueuingConfiguration,
)
from tiphys.kinds.value_findings import in_range
from tiphys.machinery.field_errors import FieldError, Path, forbidden, invalid, not_supported, required

SPEC = Path("spec")
EXEMPT, LIMITED = "Exempt", "Limited"
SHARES, QUEUES, HAND_SIZE, QUEUE_LENGTH = 30, 64, 8, 50
QUEUES_LIMIT = 10_000_000
ENTROPY_LIMIT_BITS = 60  # of the 64 that a hash has


def default(level: PriorityLevelConfiguration) -> None:
    spec = level.spec
    if spec.type == EXEMPT:
        spec.exempt = spec.exempt or ExemptPriorityLevelConfiguration()
        if spec.exempt.nominalConcurrencyShares is None:
            spec.exempt.nominalConcurrencyShares = 0
        if spec.exempt.lendablePercent is None:
            spec.exempt.lendablePercent = 0
    limited = spec.limited
    if limited is None:
        return
    if limited.nominalConcurrencyShares is None:
        limited.nominalConcurrencyShares = SHARES
    if limited.lendablePercent is None:
        limited.lendablePercent = 0
    queuing = limited.limitResponse.queuing
    if queuing is not None:
        queuing.queues = queuing.queues or QUEUES
        queuing.handSize = queuing.handSize or HAND_SIZE
        queuing.queueLengthLimit = queuing.queueLengthLimit or QUEUE_LENGTH


def validate(level: PriorityLevelConfiguration) -> list[FieldError]:
    spec = level.spec
    found: list[FieldError] = []
    name = level.metadata.name
    if (name == "exempt") != (spec.type == EXEMPT):
        detail = "type must be 'Exempt' if and only if name is 'exempt'"
        found.append(invalid(SPEC.child("type"), spec.type, detail))
    if spec.type == EXEMPT:
        if spec.limited is not None:
            found.append(forbidden(SPEC.child("limited"), "must be nil if the type is not Limited"))
        if spec.exempt is not None:
            found += _share_findings(spec.exempt, SPEC.child("exempt"))
    elif spec.type == LIMITED:
        if spec.exempt is not None:
            found.append(forbidden(SPEC.child("exempt"), "must be nil if the type is Limited"))
        if spec.limited is None:
            found.append(required(SPEC.child("limited"), "must not be empty when type is Limited"))
        else:
            found += _limited_findings(spec.limited, SPEC.child("limited"))
    else:
        found.append(not_supported(SPEC.child("type"), spec.type, (EXEMPT, LIMITED)))
    return found + _mandatory_findings(level)


def _mandatory_findings(level: PriorityLevelConfiguration) -> list[FieldError]:
    name, spec = level.metadata.name or "", level.spec
    fixed = mandatory.LEVELS.get(name)
    if fixed is None:
        return []
    lends = name == mandatory.EXEMPT
    if same(spec, replace(fixed, exempt=spec.exempt) if lends else fixed):
        return []
    except_for = " except the 'spec.exempt' field" if lends else ""
    return [invalid(SPEC, spec, f"spec of '{name}'{except_for} must equal the fixed value")]


def _share_findings(
    part: ExemptPriorityLevelConfiguration | LimitedPriorityLevelConfiguration, path: Path
) -> list[FieldError]:
    found: list[FieldError] = []
    shares, lendable = part.nominalConcurrencyShares, part.lendablePercent
    if shares is not None and shares < 0:
        found.append(invalid(path.child("nominalConcurrencyShares"), shares, "must be a non-negative integer"))
    if lendable is not None and not 0 <= lendable <= 100:
        found.append(invalid(path.child("lendablePercent"), lendable, in_range(0, 100)))
    return found


def _limited_findings(limited: LimitedPriorityLevelConfiguration, path: Path) -> list[FieldError]:
    found = _share_findings(limited, path)
    borrowing = limited.borrowingLimitPercent
    if borrowing is not None and borrowing < 0:
        detail = "if specified, must be a non-negative integer"
        found.append(invalid(path.child("borrowingLimitPercent"), borrowing, detail))
    response, at = limited.limitResponse, path.child("limitResponse")
    if response.type == "Reject":
        if response.queuing is not None:
            found.append(forbidden(at.child("queuing"), "must be nil if limited.limitResponse.type is not Limited"))
    elif response.type == "Queue":
        if response.queuing is None:
            found.append(required(at.child("queuing"), "must not be empty if limited.limitResponse.type is Limited"))
        else:
            found += _queuing_findings(response.queuing, at.child("queuing"))
    else:
        found.append(not_supported(at.child("type"), response.type, ("Queue", "Reject")))
    return found


def _entropy_bits(queues: int, hand: int) -> int:
    """How many bits of a hash it takes to deal a hand of queues to each flow."""
    return math.ceil(sum(math.log2(queues - dealt) for dealt in range(hand)))


def _queuing_findings(queuing: QueuingConfiguration, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    queues, hand = queuing.queues or 0, queuing.handSize or 0
    for field in ("queueLengthLimit", "queues", "handSize"):
        value = getattr(queuing, field) or 0
        if value <= 0:
            found.append(invalid(path.child(field), value, "must be positive"))
    if queues > QUEUES_LIMIT:
        found.append(invalid(path.child("queues"), queues, f"must not be greater than {QUEUES_LIMIT}"))
    elif hand > queues:
        detail = f"should not be greater than queues ({queues})"
        found.append(invalid(path.child("handSize"), hand, detail))
    elif hand > 0 and _entropy_bits(queues, hand) > ENTROPY_LIMIT_BITS:
        detail = (
            f"required entropy bits of deckSize {queues} and handSize {hand} should not be greater than"
            f" {ENTROPY_LIMIT_BITS}"
        )
        found.append(invalid(path.child("handSize"), hand, detail))
    return found


def queue_cell(level: PriorityLevelConfiguration, field: str) -> int | str:
    queuing = level.spec.limited.limitResponse.queuing if level.spec.limited else None
    return getattr(queuing, field) or 0 if queuing is not None else cells.NONE


def shares_cell(level: PriorityLevelConfiguration) -> int | str:
    part = level.spec.limited or level.spec.exempt
    return part.nominalConcurrencyShares or 0 if part is not None else cells.NONE


STRATEGY: Strategy[PriorityLevelConfiguration] = Strategy(
    default=default,
    prepare_for_create=clear_status,
    prepare_for_update=keep_status,
    prepare_for_status_update=keep_spec_and_metadata,
    validate=validate,
    warnings=unserved.warned(unserved.FAIRNESS),
    validate_status_update=validate_status_update,
    columns=(
        cells.name_column(),
        cells.text("Type", lambda level: level.spec.type),
        cells.text("NominalConcurrencyShares", shares_cell),
        cells.text("Queues", lambda level: queue_cell(level, "queues")),
        cells.text("HandSize", lambda level: queue_cell(level, "handSize")),
        cells.text("QueueLengthLimit", lambda level: queue_cell(level, "queueLengthLimit")),
        cells.age_column(),
    ),
)
