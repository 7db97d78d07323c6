"""Role-based access control, answered from lookups.

The roles and bindings are kept by subject. The first question of a user compiles the rules that reach it:
cluster-wide ones once, those of a namespace when it is first asked about. From then on a question is one or two
dictionary lookups by (verb, group, resource, subresource), whose answer is everything, a set of names, or nothing. A
change of a cluster role or binding forgets all that was compiled; a change in a namespace forgets that namespace
alone. `rules.py` has the meaning of the rules.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from tiphys.apiserver.authn.identity import UserInfo, service_account_name
from tiphys.apiserver.authn.source import ObjectSource
from tiphys.apiserver.authz import rules
from tiphys.apiserver.authz.interface import NO_OPINION, Attributes, Decision
from tiphys.kinds.types.rbac_v1 import ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject

ENTRY_CAPACITY = 4096
ANSWER_CAPACITY = 8192

SubjectKey = tuple[str, str]
"""("User" or "Group", name); a service account is the user of its name."""


class _Sourced(NamedTuple):
    """A rule and the decision it stands for."""

    rule: PolicyRule
    decision: Decision


class _Answer(NamedTuple):
    """What is granted for one (verb, group, resource, subresource): all objects, or those named."""

    everything: Decision | None
    names: Mapping[str, Decision]


_Key = tuple[str, str, str, str]


class CompiledRules:
    """The rules that reach one user at one scope, with the answers already worked out."""

    __slots__ = ("_answers", "_paths", "problems", "sourced")

    def __init__(self, sourced: list[_Sourced], problems: tuple[str, ...]) -> None:
        self.sourced = sourced
        self.problems = problems
        self._answers: dict[_Key, _Answer] = {}
        self._paths: dict[tuple[str, str], Decision] = {}

    def answer(self, key: _Key) -> _Answer:
        found = self._answers.get(key)
        if found is None:
            if len(self._answers) >= ANSWER_CAPACITY:
                self._answers.clear()
            found = self._answers[key] = self._work_out(key)
        return found

    def _work_out(self, key: _Key) -> _Answer:
        names: dict[str, Decision] = {}
        for rule, decision in self.sourced:
            if rules.matches_resource(rule, *key):
                if not rule.resourceNames:
                    return _Answer(decision, {})
                for name in rule.resourceNames:
                    names.setdefault(name, decision)
        return _Answer(None, names)

    def path(self, verb: str, path: str) -> Decision:
        key = (verb, path)
        found = self._paths.get(key)
        if found is None:
            if len(self._paths) >= ANSWER_CAPACITY:
                self._paths.clear()
            matching = (sourced.decision for sourced in self.sourced if rules.matches_path(sourced.rule, verb, path))
            found = self._paths[key] = next(matching, NO_OPINION)
        return found


class _Entry:
    """What is compiled for one user with its groups."""

    __slots__ = ("cluster", "namespaces")

    def __init__(self, cluster: CompiledRules) -> None:
        self.cluster = cluster
        self.namespaces: dict[str, CompiledRules] = {}


def subject_key(subject: Subject, binding_namespace: str) -> SubjectKey:
    if subject.kind == "ServiceAccount":
        return "User", service_account_name(subject.namespace or binding_namespace, subject.name)
    return subject.kind, subject.name


class RbacAuthorizer:
    """An Authorizer over the Roles, ClusterRoles and their bindings in a source, which it follows."""

    def __init__(self, source: ObjectSource) -> None:
        self._source = source
        self._entries: dict[tuple[str, tuple[str, ...]], _Entry] = {}
        self._cluster_bindings: dict[SubjectKey, dict[str, ClusterRoleBinding]] = {}
        self._bindings: dict[str, dict[SubjectKey, dict[str, RoleBinding]]] = {}
        source.subscribe(ClusterRoleBinding, self._cluster_binding_changed)
        source.subscribe(RoleBinding, self._binding_changed)
        source.subscribe(ClusterRole, self._cluster_role_changed)
        source.subscribe(Role, self._role_changed)

    def authorize(self, attributes: Attributes) -> Decision:
        """Allowed with the binding that allows it, or no opinion (with what is wrong with the roles, if anything
        is)."""
        user = attributes.user
        entry = self._entries.get((user.name, user.groups)) or self._entry(user)
        if not attributes.is_resource:
            decision = entry.cluster.path(attributes.verb, attributes.path)
            return decision if decision.allowed else _no_opinion(entry.cluster)
        key = (attributes.verb, attributes.group, attributes.resource, attributes.subresource)
        everything, names = entry.cluster.answer(key)
        if everything is not None:
            return everything
        if names and attributes.name in names:
            return names[attributes.name]
        namespace = attributes.namespace
        if not namespace:
            return _no_opinion(entry.cluster)
        local = entry.namespaces.get(namespace) or self._namespace(entry, user, namespace)
        everything, names = local.answer(key)
        if everything is not None:
            return everything
        if names and attributes.name in names:
            return names[attributes.name]
        return _no_opinion(entry.cluster, local)

    def rules_for(self, user: UserInfo, namespace: str) -> tuple[list[PolicyRule], list[str]]:
        """All rules that reach a user in a namespace ("" for cluster scope alone), and what is wrong with its roles."""
        entry = self._entries.get((user.name, user.groups)) or self._entry(user)
        found = [sourced.rule for sourced in entry.cluster.sourced]
        problems = list(entry.cluster.problems)
        if namespace:
            local = entry.namespaces.get(namespace) or self._namespace(entry, user, namespace)
            found += [sourced.rule for sourced in local.sourced]
            problems += local.problems
        return found, problems

    def role_rules(self, ref: RoleRef, namespace: str) -> list[PolicyRule] | None:
        """The rules of the role that a binding in `namespace` ("": a ClusterRoleBinding) refers to; None when there
        is none."""
        role: Role | ClusterRole | None
        if ref.kind == "ClusterRole":
            role = self._source.get(ClusterRole, "", ref.name)
        elif ref.kind == "Role" and namespace:
            role = self._source.get(Role, namespace, ref.name)
        else:
            role = None
        return None if role is None else list(role.rules or ())

    def _entry(self, user: UserInfo) -> _Entry:
        sourced: list[_Sourced] = []
        problems: list[str] = []
        for subject in _subjects(user):
            for binding in self._cluster_bindings.get(subject, {}).values():
                self._collect(binding, "", subject, sourced, problems)
        if len(self._entries) >= ENTRY_CAPACITY:
            self._entries.clear()
        entry = self._entries[user.name, user.groups] = _Entry(CompiledRules(sourced, tuple(problems)))
        return entry

    def _namespace(self, entry: _Entry, user: UserInfo, namespace: str) -> CompiledRules:
        sourced: list[_Sourced] = []
        problems: list[str] = []
        by_subject = self._bindings.get(namespace)
        if by_subject:
            for subject in _subjects(user):
                for binding in by_subject.get(subject, {}).values():
                    self._collect(binding, namespace, subject, sourced, problems)
        if len(entry.namespaces) >= ENTRY_CAPACITY:
            entry.namespaces.clear()
        found = entry.namespaces[namespace] = CompiledRules(sourced, tuple(problems))
        return found

    def _collect(
        self,
        binding: ClusterRoleBinding | RoleBinding,
        namespace: str,
        subject: SubjectKey,
        sourced: list[_Sourced],
        problems: list[str],
    ) -> None:
        found = self.role_rules(binding.roleRef, namespace)
        if found is None:
            problems.append(
                f'{binding.roleRef.kind.lower()}.rbac.authorization.k8s.io "{binding.roleRef.name}" not found'
            )
            return
        name = f"{namespace}/{binding.metadata.name}" if namespace else f"{binding.metadata.name}"
        reason = (
            f'RBAC: allowed by {binding.kind} "{name}" of {binding.roleRef.kind} "{binding.roleRef.name}" '
            f"to {_subject_text(subject)}"
        )
        decision = Decision(True, reason)
        sourced += [_Sourced(rule, decision) for rule in found]

    def _cluster_role_changed(self, old: Any, new: Any) -> None:
        self._entries.clear()

    def _role_changed(self, old: Any, new: Any) -> None:
        self._forget_namespace((new or old).metadata.namespace or "")

    def _cluster_binding_changed(self, old: ClusterRoleBinding | None, new: ClusterRoleBinding | None) -> None:
        _reindex(self._cluster_bindings, old, new, "")
        self._entries.clear()

    def _binding_changed(self, old: RoleBinding | None, new: RoleBinding | None) -> None:
        known = new or old
        assert known is not None
        namespace = known.metadata.namespace or ""
        by_subject = self._bindings.setdefault(namespace, {})
        _reindex(by_subject, old, new, namespace)
        if not by_subject:
            del self._bindings[namespace]
        self._forget_namespace(namespace)

    def _forget_namespace(self, namespace: str) -> None:
        for entry in self._entries.values():
            entry.namespaces.pop(namespace, None)


def _subjects(user: UserInfo) -> Iterator[SubjectKey]:
    yield "User", user.name
    for group in user.groups:
        yield "Group", group


def _subject_text(subject: SubjectKey) -> str:
    kind, name = subject
    if kind == "User" and name.startswith("system:serviceaccount:"):
        namespace, _, account = name.removeprefix("system:serviceaccount:").partition(":")
        return f'ServiceAccount "{account}/{namespace}"'
    return f'{kind} "{name}"'


def _reindex(index: dict[SubjectKey, dict[str, Any]], old: Any, new: Any, namespace: str) -> None:
    if old is not None:
        for subject in old.subjects or ():
            key = subject_key(subject, namespace)
            found = index.get(key)
            if found is not None:
                found.pop(old.metadata.name, None)
                if not found:
                    del index[key]
    if new is not None:
        for subject in new.subjects or ():
            index.setdefault(subject_key(subject, namespace), {})[new.metadata.name] = new


def _no_opinion(*compiled: CompiledRules) -> Decision:
    problems = [problem for part in compiled for problem in part.problems]
    if not problems:
        return NO_OPINION
    text = problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]"
    return Decision(False, f"RBAC: {text}")
