"""ResourceQuotas: how much of what the objects of a namespace may use together."""

from __future__ import annotations

from tiphys.kinds import cells
from tiphys.kinds.core.resource_validation import (
    COMPUTE_QUOTAS,
    CONTAINER_RESOURCES,
    COUNTED_OBJECTS,
    is_huge_page,
    resource_name,
)
from tiphys.kinds.object_meta import immutable
from tiphys.kinds.spec_and_status import clear_status, keep_spec, keep_status
from tiphys.kinds.strategy import Strategy
from tiphys.kinds.types.core_v1 import ResourceQuota, ResourceQuotaSpec, ScopedResourceSelectorRequirement
from tiphys.kinds.value_findings import NOT_NEGATIVE
from tiphys.machinery.field_errors import FieldError, Path, invalid, not_supported, required
from tiphys.machinery.quantity import Quantity

SPEC = Path("spec")
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


def quota_resource_name(name: str) -> list[str]:
    """Messages on the name of something that a quota counts."""
    found = list(resource_name(name))
    plain = "/" not in name
    if plain and name not in QUOTA_RESOURCES and not is_huge_page(name.removeprefix("requests.")):
        found.append("must be a standard resource for quota")
    return found


def validate(quota: ResourceQuota) -> list[FieldError]:
    found: list[FieldError] = []
    for name, amount in (quota.spec.hard or {}).items():
        at = SPEC.child("hard").key(name)
        found += [invalid(at, name, text) for text in quota_resource_name(name)]
        found += _amount_findings(name, amount, at)
    found += _scope_findings(quota.spec)
    return found


def _amount_findings(name: str, amount: Quantity, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    if amount.amount < 0:
        found.append(invalid(path, str(amount), NOT_NEGATIVE))
    if (name in COUNTED_OBJECTS or name.startswith("count/")) and amount.milli_value % 1000:
        found.append(invalid(path, str(amount), "must be an integer"))
    return found


def _scope_findings(spec: ResourceQuotaSpec) -> list[FieldError]:
    found: list[FieldError] = []
    scopes = spec.scopes or []
    path = SPEC.child("scopes")
    for scope in scopes:
        if scope not in SCOPES:
            found.append(invalid(path, scopes, "unsupported scope"))
    for pair in (("BestEffort", "NotBestEffort"), ("Terminating", "NotTerminating")):
        if set(pair) <= set(scopes):
            found.append(invalid(path, scopes, "conflicting scopes"))
    if "BestEffort" in scopes:
        for name in spec.hard or ():
            if name != "pods":
                found.append(invalid(path, scopes, "unsupported scope applied to resource"))
                break
    at = SPEC.child("scopeSelector", "matchExpressions")
    for requirement in (spec.scopeSelector.matchExpressions if spec.scopeSelector else None) or ():
        found += _selector_findings(requirement, at)
    return found


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
        choices = ("DoesNotExist", "Exists", "In", "NotIn")
        found.append(not_supported(path.child("operator"), operator, choices))
    return found


def validate_update(new: ResourceQuota, old: ResourceQuota) -> list[FieldError]:
    return immutable(sorted(new.spec.scopes or ()), sorted(old.spec.scopes or ()), SPEC.child("scopes"))


def validate_status_update(new: ResourceQuota, old: ResourceQuota) -> list[FieldError]:
    found: list[FieldError] = []
    for field in ("hard", "used"):
        for name, amount in (getattr(new.status, field) or {}).items():
            found += _amount_findings(name, amount, Path("status").child(field).key(name))
    return found


def amounts_text(quota: ResourceQuota, side: str) -> str:
    """`pods: 3/10, secrets: 1/5`; limits and requests have a column each."""
    words = []
    for name in sorted(quota.spec.hard or {}):
        if name.startswith("limits.") == (side == "limits"):
            used = (quota.status.used or {}).get(name, "0")
            words.append(f"{name}: {used}/{(quota.status.hard or {}).get(name, '0')}")
    return ", ".join(words)


STRATEGY: Strategy[ResourceQuota] = Strategy(
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
