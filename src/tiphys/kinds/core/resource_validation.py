"""Whether requests and limits are well formed: names of resources, amounts, requests within limits, claims."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from tiphys.kinds.object_meta import label_key_findings, label_name
from tiphys.kinds.types.core_v1 import ResourceRequirements, VolumeResourceRequirements
from tiphys.kinds.value_findings import NOT_NEGATIVE
from tiphys.machinery.bounded_cache import bounded_cache
from tiphys.machinery.field_errors import FieldError, Path, duplicate, forbidden, invalid, not_found, required
from tiphys.machinery.quantity import Quantity

HUGE_PAGES = "hugepages-"
CONTAINER_RESOURCES = frozenset({"cpu", "memory", "ephemeral-storage"})
COUNTED_OBJECTS = frozenset(
    [
        "pods",
        "services",
        "replicationcontrollers",
        "resourcequotas",
        "secrets",
        "configmaps",
        "persistentvolumeclaims",
        "services.nodeports",
        "services.loadbalancers",
    ]
)
COMPUTE_QUOTAS = frozenset(
    f"{side}.{name}" for side in ("requests", "limits") for name in ("cpu", "memory", "ephemeral-storage")
)
STANDARD_RESOURCES = CONTAINER_RESOURCES | COUNTED_OBJECTS | COMPUTE_QUOTAS | {"storage", "requests.storage"}
POD_RESOURCES = ("cpu", "memory")  # what a pod as a whole can ask for, besides huge pages
NOT_STANDARD = "must be a standard resource type or fully qualified"
NOT_FOR_CONTAINERS = "must be a standard resource for containers"
NOT_EXTENDED = "doesn't follow extended resource name standard"


def is_huge_page(name: str) -> bool:
    return name.startswith(HUGE_PAGES)


def is_pod_resource(name: str) -> bool:
    return name in POD_RESOURCES or is_huge_page(name)


def is_native(name: str) -> bool:
    """A resource that Kubernetes itself defines."""
    return "/" not in name or "kubernetes.io/" in name


def is_extended(name: str) -> bool:
    """A resource of somebody's domain, counted in whole pieces."""
    return not is_native(name) and not name.startswith("requests.") and not label_key_findings(f"requests.{name}")


def is_node_allocatable(name: str) -> bool:
    """A resource of every node that its pods share."""
    return name in CONTAINER_RESOURCES or is_huge_page(name)


def may_overcommit(name: str) -> bool:
    return is_native(name) and not is_huge_page(name)


@bounded_cache(2048)
def resource_name(name: str) -> list[str]:
    """Messages on the name of any resource; cached."""
    found = label_key_findings(name)
    if found or "/" in name:
        return found
    standard = name in STANDARD_RESOURCES or is_huge_page(name.removeprefix("requests."))
    return [] if standard else [NOT_STANDARD]


@bounded_cache(2048)
def container_resource_name(name: str) -> list[str]:
    """Messages on the name of a resource that a container asks for; cached."""
    found = list(resource_name(name))
    if "/" not in name:
        if name not in CONTAINER_RESOURCES and not is_huge_page(name):
            found.append(NOT_FOR_CONTAINERS)
    elif not is_native(name) and not is_extended(name):
        found.append(NOT_EXTENDED)
    return found


@bounded_cache(8192)
def amount_findings(name: str, amount: str) -> list[str]:
    """Messages on an amount of a resource; cached."""
    quantity = Quantity(amount)
    found = []
    if quantity.amount < 0:
        found.append(NOT_NEGATIVE)
    if (name in COUNTED_OBJECTS or is_extended(name)) and quantity.milli_value % 1000:
        found.append("must be an integer")
    return found


@bounded_cache(1024)
def huge_page_findings(name: str, amount: str) -> list[str]:
    size = name.removeprefix(HUGE_PAGES)
    try:
        page = Quantity(size).value
    except ValueError:
        return []
    if page <= 0 or Quantity(amount).value % page:
        return [f"{amount} is not positive integer multiple of {name}"]
    return []


def validate_amounts(amounts: dict[str, Quantity], path: Path) -> list[FieldError]:
    """Names and amounts of a container's requests or limits."""
    found: list[FieldError] = []
    for name, amount in amounts.items():
        texts = container_resource_name(name)
        if texts:
            found += [invalid(path.key(name), name, text) for text in texts]
        texts = amount_findings(name, amount)
        if texts:
            found += [invalid(path.key(name), str(amount), text) for text in texts]
        if is_huge_page(name):
            found += [invalid(path.key(name), str(amount), text) for text in huge_page_findings(name, amount)]
    return found


def validate_requirements(
    requirements: ResourceRequirements, path: Path, claim_names: AbstractSet[str] = frozenset()
) -> list[FieldError]:
    """Everything about the resources of one container."""
    requests, limits = requirements.requests, requirements.limits
    found: list[FieldError] = []
    if limits:
        found += validate_amounts(limits, path.child("limits"))
    if requests:
        found += validate_amounts(requests, path.child("requests"))
        found += requests_within_limits(requests, limits or {}, path)
    if requests or limits:
        named = {*(requests or ()), *(limits or ())}
        if any(is_huge_page(name) for name in named) and not named & {"cpu", "memory"}:
            found.append(forbidden(path, "HugePages require cpu or memory"))
    if requirements.claims:
        found += _claim_findings(requirements, path.child("claims"), claim_names)
    return found


def validate_overhead(overhead: dict[str, Quantity], path: Path) -> list[FieldError]:
    """What a pod costs beside its containers: judged, and named to clients, like the limits of one."""
    return validate_requirements(ResourceRequirements(limits=overhead), path)


def requests_within_limits(requests: dict[str, Quantity], limits: dict[str, Quantity], path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    for name, request in requests.items():
        limit = limits.get(name)
        if limit is None:
            if not may_overcommit(name):
                found.append(required(path.child("limits"), "Limit must be set for non overcommitable resources"))
        elif request != limit:
            if not may_overcommit(name) and request.amount != limit.amount:
                detail = f"must be equal to {name} limit of {limit}"
                found.append(invalid(path.child("requests"), str(request), detail))
            elif request.amount > limit.amount:
                detail = f"must be less than or equal to {name} limit of {limit}"
                found.append(invalid(path.child("requests"), str(request), detail))
    return found


def _claim_findings(requirements: ResourceRequirements, path: Path, known: AbstractSet[str]) -> list[FieldError]:
    found: list[FieldError] = []
    seen: set[str] = set()
    for position, claim in enumerate(requirements.claims or ()):
        at = path.index(position)
        if not claim.name:
            found.append(required(at))
            continue
        if claim.request:
            found += [invalid(at.child("request"), claim.request, text) for text in label_name(claim.request)]
        whole = f"{claim.name}/{claim.request}" if claim.request else claim.name
        if claim.name in seen:
            found.append(duplicate(at, claim.name))
        elif whole in seen or (not claim.request and any(s.startswith(f"{claim.name}/") for s in seen)):
            found.append(duplicate(at, whole))
        seen.add(whole)
        if claim.name not in known:
            names = f": {', '.join(sorted(known))}" if known else " which is empty"
            found.append(not_found(at, claim.name, f"must be one of the names in pod.spec.resourceClaims{names}"))
    return found


def validate_storage_request(resources: VolumeResourceRequirements | None, path: Path) -> list[FieldError]:
    """A claim asks for storage, and more than nothing."""
    requests = (resources.requests if resources else None) or {}
    storage = requests.get("storage")
    if storage is None:
        return [required(path.key("storage"))]
    found: list[FieldError] = []
    if storage.amount <= 0:
        found.append(invalid(path.key("storage"), str(storage), "must be greater than zero"))
    return found
