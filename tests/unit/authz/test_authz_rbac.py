"""RBAC: what is allowed, in which words it is refused, and the fast path against a plain reading of the rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tiphys.apiserver.authn.identity import UserInfo
from tiphys.apiserver.authz import rules
from tiphys.apiserver.authz.interface import Attributes
from tiphys.apiserver.authz.rbac import RbacAuthorizer, subject_key
from tiphys.apiserver.authz.refusal import forbidden
from tiphys.kinds.types.meta_v1 import ObjectMeta
from tiphys.kinds.types.rbac_v1 import (
    ClusterRole,
    ClusterRoleBinding,
    PolicyRule,
    Role,
    RoleBinding,
    RoleRef,
    Subject,
)

GROUP = "rbac.authorization.k8s.io"


class Objects:
    """An ObjectSource over plain dictionaries."""

    def __init__(self) -> None:
        self.by_kind: dict[type[Any], dict[tuple[str, str], Any]] = {}
        self.handlers: dict[type[Any], list[Callable[[Any, Any], None]]] = {}

    def get(self, kind: type[Any], namespace: str, name: str) -> Any:
        return self.by_kind.get(kind, {}).get((namespace, name))

    def list(self, kind: type[Any]) -> Iterable[Any]:
        return list(self.by_kind.get(kind, {}).values())

    def subscribe(self, kind: type[Any], handler: Callable[[Any, Any], None]) -> None:
        self.handlers.setdefault(kind, []).append(handler)
        for found in self.list(kind):
            handler(None, found)

    def put(self, *objects: Any) -> None:
        for obj in objects:
            key = (obj.metadata.namespace or "", obj.metadata.name)
            known = self.by_kind.setdefault(type(obj), {})
            old = known.get(key)
            known[key] = obj
            for handler in self.handlers.get(type(obj), ()):
                handler(old, obj)

    def remove(self, obj: Any) -> None:
        old = self.by_kind[type(obj)].pop((obj.metadata.namespace or "", obj.metadata.name))
        for handler in self.handlers.get(type(obj), ()):
            handler(old, None)


def role(name: str, *found: PolicyRule, namespace: str = "") -> Role | ClusterRole:
    if namespace:
        return Role(metadata=ObjectMeta(name=name, namespace=namespace), rules=list(found))
    return ClusterRole(metadata=ObjectMeta(name=name), rules=list(found))


def binding(name: str, kind: str, role_name: str, *subjects: Subject, namespace: str = "") -> Any:
    ref = RoleRef(apiGroup=GROUP, kind=kind, name=role_name)
    if namespace:
        return RoleBinding(metadata=ObjectMeta(name=name, namespace=namespace), roleRef=ref, subjects=list(subjects))
    return ClusterRoleBinding(metadata=ObjectMeta(name=name), roleRef=ref, subjects=list(subjects))


def user(name: str) -> Subject:
    return Subject(kind="User", apiGroup=GROUP, name=name)


def rule(verbs: str, resources: str, groups: str = "", names: str = "") -> PolicyRule:
    return PolicyRule(
        verbs=verbs.split(","),
        apiGroups=groups.split(","),
        resources=resources.split(","),
        resourceNames=names.split(",") if names else None,
    )


ALICE = UserInfo("alice", "", ("dev", "system:authenticated"))


def test_a_role_binding_reaches_its_namespace_alone() -> None:
    source = Objects()
    source.put(
        role("reader", rule("get,list", "pods,pods/log")),
        binding("b", "ClusterRole", "reader", user("alice"), namespace="web"),
    )
    rbac = RbacAuthorizer(source)
    decision = rbac.authorize(Attributes(ALICE, "list", "", "v1", "pods", namespace="web"))
    assert decision == (True, 'RBAC: allowed by RoleBinding "web/b" of ClusterRole "reader" to User "alice"', False)
    assert rbac.authorize(Attributes(ALICE, "get", "", "v1", "pods", "log", "web", "a")).allowed
    assert rbac.authorize(Attributes(ALICE, "list", "", "v1", "pods", namespace="db")) == (False, "", False)
    assert rbac.authorize(Attributes(ALICE, "list", "", "v1", "pods")) == (False, "", False)


def test_changes_are_seen_at_once() -> None:
    source = Objects()
    rbac = RbacAuthorizer(source)
    question = Attributes(ALICE, "get", "apps", "v1", "deployments", namespace="web", name="a")
    assert not rbac.authorize(question).allowed
    bound = binding("b", "Role", "r", Subject(kind="Group", name="dev"), namespace="web")
    source.put(bound)
    assert rbac.authorize(question) == (False, 'RBAC: role.rbac.authorization.k8s.io "r" not found', False)
    source.put(role("r", rule("get", "deployments", "apps"), namespace="web"))
    assert rbac.authorize(question).allowed
    source.put(role("r", rule("get", "deployments", "apps", "b"), namespace="web"))
    assert not rbac.authorize(question).allowed
    assert rbac.authorize(question._replace(name="b")).allowed
    source.remove(bound)
    assert not rbac.authorize(question._replace(name="b")).allowed


def test_a_service_account_is_the_user_of_its_name() -> None:
    subject = Subject(kind="ServiceAccount", name="builder")
    assert subject_key(subject, "ci") == ("User", "system:serviceaccount:ci:builder")


def test_paths_match_exactly_or_by_prefix() -> None:
    source = Objects()
    found = PolicyRule(verbs=["get"], nonResourceURLs=["/healthz", "/apis/*"])
    source.put(role("paths", found), binding("b", "ClusterRole", "paths", user("alice")))
    rbac = RbacAuthorizer(source)
    allowed = [
        path
        for path in ("/healthz", "/healthz/etcd", "/apis", "/apis/", "/apis/apps/v1")
        if rbac.authorize(Attributes(ALICE, "get", path=path, is_resource=False)).allowed
    ]
    assert allowed == ["/healthz", "/apis/", "/apis/apps/v1"]


def test_refusals_say_what_clients_match_on() -> None:
    listing = Attributes(ALICE, "list", "", "v1", "pods", namespace="default")
    assert forbidden(listing).message == (
        'pods is forbidden: User "alice" cannot list resource "pods" in API group "" in the namespace "default"'
    )
    scale = Attributes(ALICE, "update", "apps", "v1", "deployments", "scale", "web", "a")
    assert forbidden(scale, "RBAC: x").message == (
        'deployments.apps "a" is forbidden: User "alice" cannot update resource "deployments/scale" '
        'in API group "apps" in the namespace "web": RBAC: x'
    )
    nodes = forbidden(Attributes(ALICE, "get", "", "v1", "nodes", name="n"))
    assert (
        nodes.message
        == 'nodes "n" is forbidden: User "alice" cannot get resource "nodes" in API group "" at the cluster scope'
    )
    assert (nodes.code, nodes.reason, nodes.kind, nodes.name) == (403, "Forbidden", "nodes", "n")
    path = forbidden(Attributes(ALICE, "get", path="/foo", is_resource=False))
    assert path.message == 'forbidden: User "alice" cannot get path "/foo"'


VERBS, GROUPS, NAMES = ["get", "list", "*"], ["", "apps", "*"], ["a", "b"]
RESOURCES = ["pods", "pods/log", "deployments", "*/log", "*"]
PATHS = ["/a", "/a/*", "*"]
SUBJECTS = [Subject(kind="User", name="alice"), Subject(kind="Group", name="dev"), Subject(kind="User", name="bob")]


def some(values: list[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(st.sampled_from(values), min_size=1, max_size=2, unique=True)


RULES = st.one_of(
    st.builds(
        PolicyRule,
        verbs=some(VERBS),
        apiGroups=some(GROUPS),
        resources=some(RESOURCES),
        resourceNames=st.one_of(st.none(), some(NAMES)),
    ),
    st.builds(PolicyRule, verbs=some(VERBS), nonResourceURLs=some(PATHS)),
)
ROLES = st.tuples(st.sampled_from(["", "web"]), st.sampled_from(["r0", "r1"]), st.lists(RULES, max_size=3))
BINDINGS = st.tuples(
    st.sampled_from(["", "web"]),
    st.sampled_from(["b0", "b1"]),
    st.sampled_from(["Role", "ClusterRole"]),
    st.sampled_from(["r0", "r1"]),
    st.lists(st.sampled_from(SUBJECTS), min_size=1, max_size=2),
)
QUESTIONS = st.one_of(
    st.builds(
        Attributes,
        st.just(ALICE),
        st.sampled_from(["get", "list", "create"]),
        st.sampled_from(["", "apps"]),
        st.just("v1"),
        st.sampled_from(["pods", "deployments"]),
        st.sampled_from(["", "log"]),
        st.sampled_from(["", "web", "db"]),
        st.sampled_from(["", "a", "b"]),
    ),
    st.builds(
        Attributes,
        st.just(ALICE),
        st.just("get"),
        path=st.sampled_from(["/a", "/a/b", "/c"]),
        is_resource=st.just(False),
    ),
)


def naive(source: Objects, question: Attributes) -> bool:
    """Every binding, every rule, one after the other."""
    subjects = {("User", question.user.name)} | {("Group", group) for group in question.user.groups}
    for bound in [*source.list(ClusterRoleBinding), *source.list(RoleBinding)]:
        namespace = bound.metadata.namespace or ""
        if namespace and (not question.is_resource or namespace != question.namespace):
            continue
        if not any(subject_key(subject, namespace) in subjects for subject in bound.subjects):
            continue
        if bound.roleRef.kind == "Role":
            found = source.get(Role, namespace, bound.roleRef.name) if namespace else None
        else:
            found = source.get(ClusterRole, "", bound.roleRef.name)
        for policy in (found.rules if found is not None else None) or ():
            if not question.is_resource:
                if rules.matches_path(policy, question.verb, question.path):
                    return True
                continue
            key = (question.verb, question.group, question.resource, question.subresource)
            if rules.matches_resource(policy, *key) and rules.matches_resource_name(policy, question.name):
                return True
    return False


@settings(max_examples=150)
@given(st.lists(st.one_of(ROLES, BINDINGS, QUESTIONS), max_size=14), st.lists(QUESTIONS, min_size=4, max_size=8))
def test_the_fast_path_agrees_with_a_plain_reading(steps: list[Any], last: list[Attributes]) -> None:
    source = Objects()
    rbac = RbacAuthorizer(source)
    for step in [*steps, *last]:
        if isinstance(step, Attributes):
            assert rbac.authorize(step).allowed == naive(source, step)
        elif len(step) == 3:
            namespace, name, found = step
            source.put(role(name, *found, namespace=namespace))
        else:
            namespace, name, kind, role_name, subjects = step
            source.put(binding(name, kind, role_name, *subjects, namespace=namespace))
