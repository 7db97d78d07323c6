"""ServiceAccounts: identities for pods. Nothing in them is checked beyond their metadata."""

from __future__ import annotations

from tiphys.kinds import cells
from tiphys.kinds.strategy import Strategy
from tiphys.kinds.types.core_v1 import ObjectReference, ServiceAccount
from tiphys.machinery.field_errors import Path

ENFORCED_ANNOTATION = "kubernetes.io/enforce-mountable-secrets"
ENFORCED = "deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets"


def keep_names(account: ServiceAccount, _: ServiceAccount | None = None) -> None:
    """Its Secrets are in its own namespace: all that is kept of a reference is the name."""
    if account.secrets:
        account.secrets = [ObjectReference(name=secret.name) for secret in account.secrets]


def warnings(account: ServiceAccount, old: ServiceAccount | None) -> list[str]:
    if ENFORCED_ANNOTATION not in (account.metadata.annotations or {}):
        return []
    if old is not None and ENFORCED_ANNOTATION in (old.metadata.annotations or {}):
        return []
    return [f"{Path('metadata.annotations').key(ENFORCED_ANNOTATION)}: {ENFORCED}"]


STRATEGY: Strategy[ServiceAccount] = Strategy(
    prepare_for_create=keep_names,
    prepare_for_update=keep_names,
    warnings=warnings,
    columns=(
        cells.name_column(),
        cells.count("Secrets", lambda account: len(account.secrets or ())),
        cells.age_column(),
    ),
    has_generation=False,
    has_status=False,
)
