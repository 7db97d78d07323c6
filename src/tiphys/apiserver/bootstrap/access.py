"""The roles and bindings of a new cluster as objects, and what to change in those that are there already.

Reconciliation only adds: a missing rule, subject, label or annotation. What somebody added stays, and an object with
the annotation `rbac.authorization.kubernetes.io/autoupdate: "false"` is left alone altogether.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from tiphys.apiserver.authz import rules
from tiphys.apiserver.bootstrap import cluster_roles, controller_roles, policy_text
from tiphys.kinds.types.meta_v1 import LabelSelector, ObjectMeta
from tiphys.kinds.types.rbac_v1 import (
    AggregationRule,
    ClusterRole,
    ClusterRoleBinding,
    PolicyRule,
    Role,
    RoleBinding,
    RoleRef,
    Subject,
)

GROUP = "rbac.authorization.k8s.io"
AUTOUPDATE = "rbac.authorization.kubernetes.io/autoupdate"
LABELS = {"kubernetes.io/bootstrapping": "rbac-defaults"}


@functools.lru_cache(maxsize=1)
def node_rules() -> tuple[PolicyRule, ...]:
    """The rules of the role system:node, for the Node authorizer."""
    return tuple(policy_text.rules(cluster_roles.NODE))


def wanted_access() -> list[Any]:
    """Every role and binding of a new cluster."""
    found: list[Any] = []
    for name, text in cluster_roles.RULES.items():
        found.append(ClusterRole(metadata=_metadata(name, labels=_part_labels(name)), rules=policy_text.rules(text)))
    found += _aggregated_roles([role for role in found if isinstance(role, ClusterRole)])
    for name, text in controller_roles.RULES.items():
        full_name = f"{controller_roles.PREFIX}{name}"
        found.append(ClusterRole(metadata=_metadata(full_name), rules=policy_text.rules(text)))
        found.append(_cluster_binding(full_name, (f"account:kube-system/{name}",)))
    found += [_cluster_binding(name, subjects) for name, subjects in cluster_roles.BINDINGS.items()]
    for (namespace, name), text in cluster_roles.NAMESPACED_ROLES.items():
        found.append(Role(metadata=_metadata(name, namespace), rules=policy_text.rules(text)))
    for (namespace, name), (role, subjects) in cluster_roles.NAMESPACED_BINDINGS.items():
        found.append(
            RoleBinding(
                metadata=_metadata(name, namespace),
                roleRef=RoleRef(apiGroup=GROUP, kind="Role", name=role),
                subjects=_subjects(subjects),
            )
        )
    return found


def _metadata(name: str, namespace: str = "", labels: Mapping[str, str] | None = None) -> ObjectMeta:
    return ObjectMeta(
        name=name,
        namespace=namespace or None,
        labels={**LABELS, **(labels or {})},
        annotations={AUTOUPDATE: "true"},
    )


def _part_labels(name: str) -> dict[str, str]:
    gathered_by = cluster_roles.PARTS.get(name)
    return {f"{cluster_roles.AGGREGATE}{gathered_by}": "true"} if gathered_by else {}


def _aggregated_roles(parts: list[ClusterRole]) -> list[ClusterRole]:
    """admin, edit and view with their rules, so that they work before any controller runs."""
    known = {role.metadata.name: role for role in parts}
    found = []
    for name in ("view", "edit", "admin"):  # from the smallest up: each is a part of the next
        label = f"{cluster_roles.AGGREGATE}{cluster_roles.AGGREGATED[name]}"
        gathered = [role for role in known.values() if (role.metadata.labels or {}).get(label) == "true"]
        role = ClusterRole(
            metadata=_metadata(name, labels=_part_labels(name)),
            aggregationRule=AggregationRule(clusterRoleSelectors=[LabelSelector(matchLabels={label: "true"})]),
            rules=aggregate(gathered),
        )
        known[name] = role
        found.append(role)
    return found


def aggregate(roles: Iterable[ClusterRole]) -> list[PolicyRule]:
    """The rules of the roles that an aggregated role gathers: by role name, each rule once."""
    found: list[PolicyRule] = []
    for role in sorted(roles, key=lambda item: item.metadata.name or ""):
        found += [rule for rule in role.rules or () if rule not in found]
    return found


def _cluster_binding(name: str, subjects: tuple[str, ...]) -> ClusterRoleBinding:
    return ClusterRoleBinding(
        metadata=_metadata(name),
        roleRef=RoleRef(apiGroup=GROUP, kind="ClusterRole", name=name),
        subjects=_subjects(subjects) or None,
    )


def _subjects(words: tuple[str, ...]) -> list[Subject]:
    found = []
    for word in words:
        kind, _, rest = word.partition(":")
        if kind == "account":
            namespace, _, name = rest.partition("/")
            found.append(Subject(kind="ServiceAccount", name=name, namespace=namespace))
        elif kind == "user":
            found.append(Subject(kind="User", apiGroup=GROUP, name=rest))
        else:
            found.append(Subject(kind="Group", apiGroup=GROUP, name=word))
    return found


def reconciled(existing: Any, wanted: Any) -> Any:
    """What to write in place of `existing`; None when nothing is missing in it, or it may not be touched."""
    annotations = existing.metadata.annotations or {}
    if annotations.get(AUTOUPDATE) == "false":
        return None
    metadata = _with_metadata(existing.metadata, wanted.metadata)
    if isinstance(wanted, ClusterRole | Role):
        changed = _reconciled_role(existing, wanted)
    else:
        changed = _reconciled_binding(existing, wanted)
    if changed is existing and metadata is existing.metadata:
        return None
    return msgspec.structs.replace(changed, metadata=metadata)


def must_replace(existing: Any, wanted: Any) -> bool:
    """Whether a binding refers to another role than it should: that cannot be changed, so it has to be made anew."""
    if not isinstance(wanted, ClusterRoleBinding | RoleBinding):
        return False
    if (existing.metadata.annotations or {}).get(AUTOUPDATE) == "false":
        return False
    return _role(existing.roleRef) != _role(wanted.roleRef)


def _role(ref: RoleRef) -> tuple[str, str]:
    return ref.kind, ref.name


def _with_metadata(existing: ObjectMeta, wanted: ObjectMeta) -> ObjectMeta:
    labels = {**(wanted.labels or {}), **(existing.labels or {})}
    annotations = {**(wanted.annotations or {}), **(existing.annotations or {})}
    if labels == (existing.labels or {}) and annotations == (existing.annotations or {}):
        return existing
    return msgspec.structs.replace(existing, labels=labels, annotations=annotations)


def _reconciled_role(existing: Any, wanted: Any) -> Any:
    if isinstance(wanted, ClusterRole) and wanted.aggregationRule is not None:
        have = existing.aggregationRule.clusterRoleSelectors or [] if existing.aggregationRule is not None else []
        missing = [s for s in wanted.aggregationRule.clusterRoleSelectors or () if s not in have]
        if not missing:
            return existing
        return msgspec.structs.replace(
            existing, aggregationRule=AggregationRule(clusterRoleSelectors=[*have, *missing])
        )
    have_rules = list(existing.rules or ())
    lacking = [rule for rule in wanted.rules or () if rule not in have_rules and rules.uncovered(have_rules, [rule])]
    if not lacking:
        return existing
    return msgspec.structs.replace(existing, rules=[*have_rules, *lacking])


def _reconciled_binding(existing: Any, wanted: Any) -> Any:
    have = [(s.kind, s.namespace or "", s.name) for s in existing.subjects or ()]
    missing = [s for s in wanted.subjects or () if (s.kind, s.namespace or "", s.name) not in have]
    if not missing:
        return existing
    return msgspec.structs.replace(existing, subjects=[*(existing.subjects or ()), *missing])
