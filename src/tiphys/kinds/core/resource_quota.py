"""ResourceQuotas: how much of what the objects of a namespace may use together."""

from __future__ import annotations

from collections.abc import Mapping

from tiphys.kinds import cells, codec
from tiphys.kinds.core.resource_defaults import default_amounts
from tiphys.kinds.core.resource_validation import (
    COMPUTE_QUOTAS,
    CONTAINER_RESOURCES,
    COUNTED_OBJECTS,
    is_extended,
    is_huge_page,
    resource_name,
)
from tiphys.kinds.object_meta import immutable
from tiphys.kinds.spec_and_status import clear_status, keep_spec, keep_status
from tiphys.kinds.strategy import Strategy
from tiphys.kinds.types.core_v1 import ResourceQuota, ResourceQuotaSpec, ScopedResourceSelectorRequirement
from tiphys.kinds.value_findings import NOT_NEGATIVE
from tiphys.machinery.field_errors import FieldError, Path, invalid, required
from tiphys.machinery.quantity import Quantity

SPEC = Path("spec")
UNSUPPORTED = "unsupported scope applied to resource"
SCOPES = (
    "BestEffort",
    "CrossNamespacePodAffinity",
    "NotBestEffort",
    "NotTerminating",
    "PriorityClass",
    "Terminating",
    "VolumeAttributesClass",
)
QUOTA_RESOURCES = CONTAINER_RESOURCES | COUNTED_OBJECTS | COMPUTE_QUOTAS | {"requests.storage"}
# What may be limited under a scope, of the names that need no domain.
_OF_PODS = {"pods", "cpu", "memory", "limits.cpu", "limits.memory", "requests.cpu", "requests.memory"}
SCOPED_RESOURCES = {
    **dict.fromkeys(SCOPES, _OF_PODS),
    "BestEffort": {"pods"},
    "VolumeAttributesClass": {"persistentvolumeclaims", "requests.storage"},
}


def quota_resource_name(name: str) -> list[str]:
    """Messages on the name of something that a quota counts."""
    found = list(resource_name(name))
    if "/" not in name and not _is_standard(name):
        found.append("must be a standard resource for quota")
    return found


def _is_standard(name: str) -> bool:
    return name in QUOTA_RESOURCES or is_huge_page(name.removeprefix("requests."))


def default(quota: ResourceQuota) -> None:
    for amounts in (quota.spec.hard, quota.status.hard, quota.status.used):
        default_amounts(amounts)


def validate(quota: ResourceQuota) -> list[FieldError]:
    found = _hard_findings(quota.spec.hard, SPEC.child("hard"))
    found += _scope_findings(quota.spec)
    return found


def _hard_findings(amounts: Mapping[str, Quantity] | None, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    for name, amount in (amounts or {}).items():
        at = path.key(name)
        found += [invalid(at, name, text) for text in quota_resource_name(name)]
        found += _amount_findings(name, amount, at)
    return found


def _amount_findings(name: str, amount: Quantity, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    if amount.amount < 0:
        found.append(invalid(path, str(amount), NOT_NEGATIVE))
    if (name in COUNTED_OBJECTS or is_extended(name)) and amount.milli_value % 1000:
        found.append(invalid(path, str(amount), "must be an integer"))
    return found


def _scope_findings(spec: ResourceQuotaSpec) -> list[FieldError]:
    found: list[FieldError] = []
    scopes = spec.scopes or []
    path = SPEC.child("scopes")
    for scope in scopes:
        if scope not in SCOPES:
            found.append(invalid(path, scopes, "unsupported scope"))
        found += [invalid(path, scopes, UNSUPPORTED)] * _unsupported(spec, scope)
    found += _conflict_findings(scopes, path, scopes)
    at = SPEC.child("scopeSelector", "matchExpressions")
    requirements = (spec.scopeSelector.matchExpressions if spec.scopeSelector else None) or []
    for requirement in requirements:
        found += [invalid(at, codec.plain(spec.scopeSelector), UNSUPPORTED)] * _unsupported(spec, requirement.scopeName)
        found += _selector_findings(requirement, at)
    return found + _conflict_findings([requirement.scopeName for requirement in requirements], at, scopes)


def _conflict_findings(named: list[str], path: Path, shown: list[str]) -> list[FieldError]:
    """Scopes that no pod is in together."""
    pairs = ({"BestEffort", "NotBestEffort"}, {"Terminating", "NotTerminating"})
    return [invalid(path, shown, "conflicting scopes") for pair in pairs if pair <= set(named)]


def _unsupported(spec: ResourceQuotaSpec, scope: str) -> int:
    """How many of the limited resources cannot be limited under a scope."""
    allowed = SCOPED_RESOURCES.get(scope)
    return 0 if allowed is None else sum(_is_standard(name) and name not in allowed for name in spec.hard or ())


def _selector_findings(requirement: ScopedResourceSelectorRequirement, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    name, operator, values = requirement.scopeName, requirement.operator, requirement.values or []
    if name not in SCOPES:
        found.append(invalid(path.child("scopeName"), name, "unsupported scope"))
    elif name not in ("PriorityClass", "VolumeAttributesClass") and operator != "Exists":
        detail = (
            "must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating,"
            " ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or"
            " ResourceQuotaScopeCrossNamespacePodAffinity"
        )
        found.append(invalid(path.child("operator"), operator, detail))
    if operator in ("In", "NotIn"):
        if not values:
            detail = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
            found.append(required(path.child("values"), detail))
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            detail = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"
            found.append(invalid(path.child("values"), values, detail))
    else:
        found.append(invalid(path.child("operator"), operator, "not a valid selector operator"))
    return found


def validate_update(new: ResourceQuota, old: ResourceQuota) -> list[FieldError]:
    return immutable(sorted(new.spec.scopes or ()), sorted(old.spec.scopes or ()), SPEC.child("scopes"))


def validate_status_update(new: ResourceQuota, old: ResourceQuota) -> list[FieldError]:
    status = Path("status")
    hard = _hard_findings(new.status.hard, status.child("hard"))
    return hard + _hard_findings(new.status.used, status.child("used"))


def amounts_text(quota: ResourceQuota, side: str) -> str:
    """`pods: 3/10, secrets: 1/5`; limits and requests have a column each."""
    words = []
    for name in sorted(quota.spec.hard or {}):
        if name.startswith("limits.") == (side == "limits"):
            used = (quota.status.used or {}).get(name, "0")
            words.append(f"{name}: {used}/{(quota.status.hard or {}).get(name, '0')}")
    return ", ".join(words)


STRATEGY: Strategy[ResourceQuota] = Strategy(
    default=default,
    prepare_for_create=clear_status,
    prepare_for_update=keep_status,
    prepare_for_status_update=keep_spec,
    validate=validate,
    validate_update=validate_update,
    validate_status_update=validate_status_update,
    columns=(
        cells.name_column(),
        cells.text("Request", lambda quota: amounts_text(quota, "requests")),
        cells.text("Limit", lambda quota: amounts_text(quota, "limits")),
        cells.age_column(),
    ),
    has_generation=False,
)
