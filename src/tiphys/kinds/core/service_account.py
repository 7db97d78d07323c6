"""ServiceAccounts: identities for pods. Nothing in them is checked beyond their metadata."""

from __future__ import annotations

from tiphys.kinds import cells
from tiphys.kinds.strategy import Strategy
from tiphys.kinds.types.core_v1 import ServiceAccount

STRATEGY: Strategy[ServiceAccount] = Strategy(
    columns=(
        cells.name_column(),
        cells.count("Secrets", lambda account: len(account.secrets or ())),
        cells.age_column(),
    ),
    has_generation=False,
    has_status=False,
)
