"""Whether rules, subjects and role references of the RBAC kinds are well formed."""

from __future__ import annotations

from collections.abc import Sequence

from tiphys.kinds.equality import same
from tiphys.kinds.object_meta import path_segment_name, subdomain_name
from tiphys.kinds.types.rbac_v1 import PolicyRule, RoleRef, Subject
from tiphys.machinery.field_errors import FieldError, Path, invalid, not_supported, required

GROUP = "rbac.authorization.k8s.io"


def default_role_ref(reference: RoleRef) -> None:
    if not reference.apiGroup:
        reference.apiGroup = GROUP


def default_subjects(subjects: Sequence[Subject] | None) -> None:
    for subject in subjects or ():
        if not subject.apiGroup and subject.kind in ("User", "Group"):
            subject.apiGroup = GROUP


def validate_rules(rules: Sequence[PolicyRule] | None, namespaced: bool) -> list[FieldError]:
    found: list[FieldError] = []
    for position, rule in enumerate(rules or ()):
        found += _rule_findings(rule, namespaced, Path("rules").index(position))
    return found


def _rule_findings(rule: PolicyRule, namespaced: bool, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    if not rule.verbs:
        found.append(required(path.child("verbs"), "verbs must contain at least one value"))
    if rule.nonResourceURLs:
        at = path.child("nonResourceURLs")
        if namespaced:
            detail = "namespaced rules cannot apply to non-resource URLs"
            found.append(invalid(at, rule.nonResourceURLs, detail))
        if rule.apiGroups or rule.resources or rule.resourceNames:
            detail = "rules cannot apply to both regular resources and non-resource URLs"
            found.append(invalid(at, rule.nonResourceURLs, detail))
        return found
    if not rule.apiGroups:
        found.append(required(path.child("apiGroups"), "resource rules must supply at least one api group"))
    if not rule.resources:
        found.append(required(path.child("resources"), "resource rules must supply at least one resource"))
    return found


def validate_role_ref(reference: RoleRef, kinds: tuple[str, ...]) -> list[FieldError]:
    path = Path("roleRef")
    found: list[FieldError] = []
    if reference.apiGroup != GROUP:
        found.append(not_supported(path.child("apiGroup"), reference.apiGroup or "", (GROUP,)))
    if reference.kind not in kinds:
        found.append(not_supported(path.child("kind"), reference.kind, kinds))
    if not reference.name:
        found.append(required(path.child("name")))
    else:
        found += [invalid(path.child("name"), reference.name, text) for text in path_segment_name(reference.name)]
    return found


def validate_subjects(subjects: Sequence[Subject] | None, namespaced: bool) -> list[FieldError]:
    found: list[FieldError] = []
    for position, subject in enumerate(subjects or ()):
        found += _subject_findings(subject, namespaced, Path("subjects").index(position))
    return found


def _subject_findings(subject: Subject, namespaced: bool, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    if not subject.name:
        found.append(required(path.child("name")))
    if subject.kind == "ServiceAccount":
        if subject.name:
            found += [invalid(path.child("name"), subject.name, text) for text in subdomain_name(subject.name)]
        if subject.apiGroup:
            found.append(not_supported(path.child("apiGroup"), subject.apiGroup, ("",)))
        if not subject.namespace and not namespaced:
            found.append(required(path.child("namespace")))
    elif subject.kind in ("User", "Group"):
        if subject.apiGroup != GROUP:
            found.append(not_supported(path.child("apiGroup"), subject.apiGroup or "", (GROUP,)))
    else:
        choices = ("ServiceAccount", "User", "Group")
        found.append(not_supported(path.child("kind"), subject.kind, choices))
    return found


def role_ref_unchanged(new: RoleRef, old: RoleRef) -> list[FieldError]:
    """A binding keeps its role for good: else whoever may edit it could give away any role."""
    return [] if same(new, old) else [invalid(Path("roleRef"), new, "cannot change roleRef")]


def subjects_of(subjects: Sequence[Subject] | None, kind: str) -> str:
    """The names of one kind of subject, service accounts as `namespace/name`."""
    named = [subject for subject in subjects or () if subject.kind == kind]
    if kind == "ServiceAccount":
        return ", ".join(f"{subject.namespace or ''}/{subject.name}" for subject in named)
    return ", ".join(subject.name for subject in named)
