"""Labels of nodes that have been replaced by others, and advice to those who still select by them.

Specified in "Well-Known Labels, Annotations and Taints".
"""

from __future__ import annotations

from collections.abc import Iterable

from tiphys.kinds.types.core_v1 import NodeSelectorTerm, TopologySelectorTerm
from tiphys.machinery.field_errors import Path

_REPLACED = {
    "beta.kubernetes.io/arch": ("v1.14", "kubernetes.io/arch"),
    "beta.kubernetes.io/os": ("v1.14", "kubernetes.io/os"),
    "failure-domain.beta.kubernetes.io/region": ("v1.17", "topology.kubernetes.io/region"),
    "failure-domain.beta.kubernetes.io/zone": ("v1.17", "topology.kubernetes.io/zone"),
    "beta.kubernetes.io/instance-type": ("v1.17", "node.kubernetes.io/instance-type"),
}
REPLACEMENTS = {label: instead for label, (_, instead) in _REPLACED.items()}
DEPRECATED = {
    label: f'deprecated since {release}; use "{instead}" instead' for label, (release, instead) in _REPLACED.items()
}


def selector_warnings(labels: Iterable[str], path: Path) -> list[str]:
    """Of a plain map of labels."""
    return [f"{path.key(label)}: {DEPRECATED[label]}" for label in labels if label in DEPRECATED]


def key_warnings(label: str, path: Path) -> list[str]:
    return [f"{path}: {label} is {DEPRECATED[label]}"] if label in DEPRECATED else []


def term_warnings(term: NodeSelectorTerm, path: Path) -> list[str]:
    found: list[str] = []
    for position, expression in enumerate(term.matchExpressions or ()):
        found += key_warnings(expression.key, path.child("matchExpressions").index(position).child("key"))
    return found


def topology_term_warnings(term: TopologySelectorTerm, path: Path) -> list[str]:
    found: list[str] = []
    for position, expression in enumerate(term.matchLabelExpressions or ()):
        found += key_warnings(expression.key, path.child("matchLabelExpressions").index(position).child("key"))
    return found
