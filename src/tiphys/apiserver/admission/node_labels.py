"""Which labels a node may not give itself, as they could steer pods to it. Specified in "Using Node Authorization" and
"Well-Known Labels, Annotations and Taints"."""

from __future__ import annotations

from collections.abc import Mapping

RESTRICTED_DOMAIN = "node-restriction.kubernetes.io"
KUBERNETES_DOMAINS = ("kubernetes.io", "k8s.io")
KUBELET_DOMAINS = ("kubelet.kubernetes.io", "node.kubernetes.io")
KUBELET_LABELS = frozenset(
    {
        "kubernetes.io/hostname",
        "kubernetes.io/os",
        "kubernetes.io/arch",
        "topology.kubernetes.io/zone",
        "topology.kubernetes.io/region",
        "node.kubernetes.io/instance-type",
        "failure-domain.beta.kubernetes.io/zone",
        "failure-domain.beta.kubernetes.io/region",
        "beta.kubernetes.io/instance-type",
        "beta.kubernetes.io/os",
        "beta.kubernetes.io/arch",
    }
)


def refused_labels(new: Mapping[str, str] | None, old: Mapping[str, str] | None) -> list[str]:
    """Of those that were added, changed or taken away, sorted."""
    new, old = new or {}, old or {}
    changed = (key for key in new.keys() | old.keys() if new.get(key) != old.get(key))
    return sorted(key for key in changed if _is_refused(key))


def _is_refused(key: str) -> bool:
    domain, slash, _ = key.partition("/")
    if not slash:
        return False
    if _is_within(domain, (RESTRICTED_DOMAIN,)):
        return True
    allowed = key in KUBELET_LABELS or _is_within(domain, KUBELET_DOMAINS)
    return not allowed and _is_within(domain, KUBERNETES_DOMAINS)


def _is_within(domain: str, domains: tuple[str, ...]) -> bool:
    return any(domain == parent or domain.endswith(f".{parent}") for parent in domains)
