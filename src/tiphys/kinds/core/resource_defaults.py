"""Amounts of resources count in thousandths: what is written more finely is rounded up where it is stored.

Only amounts by resource (requests, limits, capacities, quotas) are; sizes of volumes and targets of metrics stay as
they are written.
"""

from __future__ import annotations

from tiphys.kinds.types.core_v1 import ResourceRequirements, VolumeResourceRequirements
from tiphys.machinery.quantity import Quantity, round_up_to_milli


def default_amounts(amounts: dict[str, Quantity] | None) -> None:
    """Round the amounts up, in place."""
    if amounts:
        for name, amount in amounts.items():
            # The canonical form of such an amount always ends like this.
            if amount[-1] in "nu" or "e-" in amount:
                amounts[name] = round_up_to_milli(amount)


def default_requirements(resources: ResourceRequirements | VolumeResourceRequirements | None) -> None:
    if resources is not None:
        default_amounts(resources.requests)
        default_amounts(resources.limits)
