"""Access reviews, the rules that cover rules, and that nobody grants what they do not have."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiphys.apiserver.authn.identity import UserInfo
from tiphys.apiserver.authz import reviews, rules
from tiphys.apiserver.authz.chain import StandardAuthorizer
from tiphys.apiserver.bootstrap.policy_text import rules as rules_of
from tiphys.kinds import codec
from tiphys.kinds.types.authorization_v1 import (
    LocalSubjectAccessReview,
    NonResourceAttributes,
    ResourceAttributes,
    SelfSubjectAccessReview,
    SelfSubjectAccessReviewSpec,
    SelfSubjectRulesReview,
    SelfSubjectRulesReviewSpec,
    SubjectAccessReview,
    SubjectAccessReviewSpec,
)
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
from tiphys.machinery.errors import ApiError

GROUP = "rbac.authorization.k8s.io"
JANE = UserInfo("jane", "", ("dev", "system:authenticated"))
ROOT = UserInfo("root", "", ("system:masters",))


class Fixed:
    """An ObjectSource that never changes."""

    def __init__(self, *objects: Any) -> None:
        self.objects = {(type(o), o.metadata.namespace or "", o.metadata.name): o for o in objects}

    def get(self, kind: type[Any], namespace: str, name: str) -> Any:
        return self.objects.get((kind, namespace, name))

    def list(self, kind: type[Any]) -> Iterable[Any]:
        return [found for key, found in self.objects.items() if key[0] is kind]

    def subscribe(self, kind: type[Any], handler: Callable[[Any, Any], None]) -> None:
        for found in self.list(kind):
            handler(None, found)


def cluster_role(name: str, text: str) -> ClusterRole:
    return ClusterRole(metadata=ObjectMeta(name=name), rules=rules_of(text))


def role(text: str, name: str = "r") -> Role:
    return Role(metadata=ObjectMeta(name=name, namespace="web"), rules=rules_of(text))


def binding(role_name: str, user: str = "jane", kind: str = "ClusterRole", namespace: str = "web") -> RoleBinding:
    return RoleBinding(
        metadata=ObjectMeta(name=f"{role_name}-{user}", namespace=namespace),
        roleRef=RoleRef(apiGroup=GROUP, kind=kind, name=role_name),
        subjects=[Subject(kind="User", apiGroup=GROUP, name=user)],
    )


def authorizer(*objects: Any) -> StandardAuthorizer:
    return StandardAuthorizer(Fixed(*objects), ())


READER = (cluster_role("reader", "get,list core pods,pods/log\nget urls /x"), binding("reader"))


def test_a_subject_access_review_says_why() -> None:
    asked = ResourceAttributes(verb="get", resource="pods", subresource="log", namespace="web")
    review = SubjectAccessReview(spec=SubjectAccessReviewSpec(user="jane", resourceAttributes=asked))
    status = reviews.review_subject(review, authorizer(*READER)).status
    assert (status.allowed, status.reason) == (
        True,
        'RBAC: allowed by RoleBinding "web/reader-jane" of ClusterRole "reader" to User "jane"',
    )
    elsewhere = ResourceAttributes(verb="get", resource="pods", namespace="db")
    review = SubjectAccessReview(spec=SubjectAccessReviewSpec(user="jane", resourceAttributes=elsewhere))
    status = reviews.review_subject(review, authorizer(*READER)).status
    assert (status.allowed, status.denied, status.reason) == (False, None, None)


def test_reviews_of_oneself() -> None:
    asked = SelfSubjectAccessReview(
        spec=SelfSubjectAccessReviewSpec(nonResourceAttributes=NonResourceAttributes(verb="get", path="/x"))
    )
    assert not reviews.review_self(asked, JANE, authorizer(*READER)).status.allowed
    assert reviews.review_self(asked, ROOT, authorizer(*READER)).status.allowed


@pytest.mark.parametrize(
    ("spec", "fields"),
    [
        (SubjectAccessReviewSpec(), ["spec.resourceAttributes", "spec.user"]),
        (SubjectAccessReviewSpec(user="x"), ["spec.resourceAttributes"]),
        (SubjectAccessReviewSpec(groups=["g"], nonResourceAttributes=NonResourceAttributes()), []),
        (
            SubjectAccessReviewSpec(
                user="x", nonResourceAttributes=NonResourceAttributes(), resourceAttributes=ResourceAttributes()
            ),
            ["spec.nonResourceAttributes"],
        ),
    ],
)
def test_a_review_asks_one_thing_about_somebody(spec: SubjectAccessReviewSpec, fields: list[str]) -> None:
    try:
        reviews.review_subject(SubjectAccessReview(spec=spec), authorizer())
    except ApiError as error:
        assert error.code == 422
        assert [cause.field for cause in error.causes] == fields
    else:
        assert fields == []


@pytest.mark.parametrize("review", [SubjectAccessReview, LocalSubjectAccessReview, SelfSubjectAccessReview])
def test_a_review_has_no_metadata(review: type[Any]) -> None:
    given = review(metadata=ObjectMeta(name="a", namespace="web", managedFields=[]))
    given.spec.resourceAttributes = ResourceAttributes(namespace="web")
    if review is not SelfSubjectAccessReview:
        given.spec.user = "jane"
    asks = {
        SubjectAccessReview: lambda: reviews.review_subject(given, authorizer()),
        LocalSubjectAccessReview: lambda: reviews.review_subject_locally(given, "web", authorizer()),
        SelfSubjectAccessReview: lambda: reviews.review_self(given, JANE, authorizer()),
    }
    with pytest.raises(ApiError) as caught:
        asks[review]()
    assert [cause.field for cause in caught.value.causes] == ["metadata"]
    words = "must be empty except for namespace" if review is LocalSubjectAccessReview else "must be empty"
    assert caught.value.causes[0].message.endswith(f": {words}")


def selecting(**selectors: Any) -> SubjectAccessReview:
    asked = codec.convert({"verb": "list", "resource": "pods", **selectors}, ResourceAttributes)
    return SubjectAccessReview(spec=SubjectAccessReviewSpec(user="jane", resourceAttributes=asked))


IN, LABELS = "spec.resourceAttributes.fieldSelector", "spec.resourceAttributes.labelSelector"


@pytest.mark.parametrize(
    ("selectors", "found"),
    [
        ({"fieldSelector": {"rawSelector": "a", "requirements": [{"key": "a", "operator": "Exists"}]}},
         [f'{IN}.rawSelector: Invalid value: "a": may not specified at the same time as requirements']),
        ({"labelSelector": {}},
         [f"{LABELS}.requirements: Required value: when {LABELS} is specified, requirements or rawSelector is"
          " required"]),
        ({"fieldSelector": {"requirements": [{"operator": "In"}, {"key": "b", "operator": "Exists", "values": ["c"]},
                                             {"key": "d", "operator": "Later"}]}},
         [f"{IN}.requirements[0].key: Required value: must be specified",
          f"{IN}.requirements[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'",
          f"{IN}.requirements[1].values: Forbidden: may not be specified when `operator` is 'Exists' or"
          " 'DoesNotExist'"]),
        ({"labelSelector": {"requirements": [{"key": "a", "operator": "NotIn"}, {"key": "a", "operator": "Later"}]}},
         [f"{LABELS}.requirements[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'"]),
    ],
)  # fmt: skip
def test_selectors_of_reviews(selectors: dict[str, Any], found: list[str]) -> None:
    with pytest.raises(ApiError) as caught:
        reviews.review_subject(selecting(**selectors), authorizer())
    assert [str(cause) for cause in caught.value.causes] == found


@pytest.mark.parametrize(
    ("selectors", "text", "problem"),
    [
        ({"fieldSelector": {"rawSelector": "spec.nodeName=n"}}, "spec.nodeName=n", None),
        ({"fieldSelector": {"rawSelector": "a in b"}}, "", f"{IN} ignored due to parse error"),
        ({"fieldSelector": {"requirements": [{"key": "a", "operator": "In", "values": ["b,c"]},
                                             {"key": "d", "operator": "NotIn", "values": ["e"]}]}},
         "a=b\\,c,d!=e", None),
        ({"fieldSelector": {"requirements": [{"key": "a", "operator": "In", "values": ["b", "c"]},
                                             {"key": "d", "operator": "NotIn", "values": ["e"]}]}},
         "d!=e", f"{IN} partially ignored due to parse error"),
        ({"fieldSelector": {"rawSelector": "a in b"}, "labelSelector": {"rawSelector": "&"}}, "",
         f"{IN} ignored due to parse error; {LABELS} ignored due to parse error"),
        ({"labelSelector": {"requirements": [{"key": "a", "operator": "Exists"}, {"key": "a", "operator": "Later"}]}},
         "", f"{LABELS} partially ignored due to parse error"),
    ],
)  # fmt: skip
def test_what_authorizers_see_of_selectors(selectors: dict[str, Any], text: str, problem: str | None) -> None:
    review = selecting(**selectors)
    assert reviews.attributes_of(JANE, review.spec.resourceAttributes, None).field_selector == text
    assert reviews.review_subject(review, authorizer()).status.evaluationError == problem


def test_a_local_review_stays_in_its_namespace() -> None:
    asked = ResourceAttributes(verb="get", resource="pods", namespace="web")
    review = LocalSubjectAccessReview(spec=SubjectAccessReviewSpec(user="jane", resourceAttributes=asked))
    assert reviews.review_subject_locally(review, "web", authorizer(*READER)).status.allowed
    with pytest.raises(ApiError, match=r"must match metadata\.namespace"):
        reviews.review_subject_locally(review, "db", authorizer(*READER))


def test_all_rules_of_oneself() -> None:
    review = SelfSubjectRulesReview(spec=SelfSubjectRulesReviewSpec(namespace="web"))
    status = reviews.review_rules(review, JANE, authorizer(*READER, binding("gone")).rbac).status
    assert [(rule.verbs, rule.resources) for rule in status.resourceRules] == [(["get", "list"], ["pods", "pods/log"])]
    assert [rule.nonResourceURLs for rule in status.nonResourceRules] == [["/x"]]
    assert (status.incomplete, status.evaluationError) == (
        True,
        'clusterrole.rbac.authorization.k8s.io "gone" not found',
    )
    with pytest.raises(ApiError, match="no namespace on request"):
        reviews.review_rules(SelfSubjectRulesReview(), JANE, authorizer().rbac)


def refusal(check: Callable[[], None]) -> str:
    with pytest.raises(ApiError) as caught:
        check()
    return caught.value.message


def test_nobody_writes_a_role_with_more_than_they_have() -> None:
    standard = authorizer(*READER)
    escalation = standard.escalation
    escalation.check(JANE, role("get core pods"), None)
    escalation.check(ROOT, role("* * *"), None)
    wanted = role("get,delete core pods,secrets")
    assert refusal(lambda: escalation.check(JANE, wanted, None)) == (
        'roles.rbac.authorization.k8s.io "r" is forbidden: user "jane" (groups=["dev" "system:authenticated"]) '
        "is attempting to grant RBAC permissions not currently held:\n"
        '{APIGroups:[""], Resources:["pods"], Verbs:["delete"]}\n'
        '{APIGroups:[""], Resources:["secrets"], Verbs:["delete" "get"]}'
    )
    escalation.check(JANE, wanted, wanted)  # an update that leaves the rules alone
    assert "not currently held" in refusal(lambda: escalation.check(JANE, wanted, role("get core pods")))


def test_who_may_escalate_writes_any_role() -> None:
    standard = authorizer(cluster_role("lifter", f"escalate {GROUP} roles =r"), binding("lifter"))
    standard.escalation.check(JANE, role("* * *"), None)
    with pytest.raises(ApiError):
        standard.escalation.check(JANE, role("* * *", "other"), None)


def test_an_aggregated_role_counts_as_everything() -> None:
    selector = LabelSelector(matchLabels={"a": "b"})
    wanted = ClusterRole(
        metadata=ObjectMeta(name="all"), aggregationRule=AggregationRule(clusterRoleSelectors=[selector])
    )
    with pytest.raises(ApiError):
        authorizer(*READER).escalation.check(JANE, wanted, None)


def test_nobody_binds_a_role_with_more_than_they_have() -> None:
    secrets = cluster_role("secrets", "get core secrets")
    standard = authorizer(*READER, secrets)
    standard.escalation.check(JANE, binding("reader", "bob"), None)
    assert "not currently held" in refusal(lambda: standard.escalation.check(JANE, binding("secrets", "bob"), None))
    assert refusal(lambda: standard.escalation.check(JANE, binding("gone", "bob"), None)) == (
        'clusterroles.rbac.authorization.k8s.io "gone" not found'
    )
    existing = binding("secrets", "bob")
    standard.escalation.check(JANE, binding("secrets", "bob"), existing)
    cluster_wide = ClusterRoleBinding(
        metadata=ObjectMeta(name="b"), roleRef=RoleRef(apiGroup=GROUP, kind="ClusterRole", name="reader")
    )
    with pytest.raises(ApiError):  # what jane has in one namespace she cannot give away everywhere
        standard.escalation.check(JANE, cluster_wide, None)


def test_who_may_bind_a_role_binds_it() -> None:
    binder = cluster_role("binder", f"bind {GROUP} clusterroles =secrets")
    others = (cluster_role("secrets", "get core secrets"), cluster_role("maps", "get core configmaps"))
    standard = authorizer(binder, binding("binder"), *others)
    standard.escalation.check(JANE, binding("secrets", "bob"), None)
    standard.escalation.check(JANE, binding("binder", "bob"), None)  # she has that one herself
    with pytest.raises(ApiError):
        standard.escalation.check(JANE, binding("maps", "bob"), None)


PARTS = st.builds(
    PolicyRule,
    verbs=st.lists(st.sampled_from(["get", "list", "*"]), min_size=1, max_size=2, unique=True),
    apiGroups=st.lists(st.sampled_from(["", "apps", "*"]), min_size=1, max_size=2, unique=True),
    resources=st.lists(
        st.sampled_from(["pods", "pods/log", "*/log", "nodes", "*"]), min_size=1, max_size=2, unique=True
    ),
    resourceNames=st.one_of(st.none(), st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=2, unique=True)),
)
QUESTIONS = [
    (verb, group, resource, subresource, name)
    for verb in ("get", "list", "delete")
    for group in ("", "apps", "batch")
    for resource in ("pods", "nodes", "jobs")
    for subresource in ("", "log", "scale")
    for name in ("", "a", "b", "c")
]


def allowed(owned: list[PolicyRule], question: tuple[str, str, str, str, str]) -> bool:
    *key, name = question
    return any(rules.matches_resource(rule, *key) and rules.matches_resource_name(rule, name) for rule in owned)


@settings(max_examples=100)
@given(st.lists(PARTS, max_size=3), PARTS)
def test_covered_rules_allow_nothing_new(owned: list[PolicyRule], wanted: PolicyRule) -> None:
    if not rules.uncovered(owned, [wanted]):
        gained = [q for q in QUESTIONS if allowed([wanted], q) and not allowed(owned, q)]
        assert gained == []


@settings(max_examples=50)
@given(st.lists(PARTS, max_size=3))
def test_rules_cover_themselves_and_their_parts_put_together(owned: list[PolicyRule]) -> None:
    assert rules.uncovered(owned, owned) == []
    parts = [part for rule in owned for part in rules.parts(rule)]
    assert rules.uncovered(rules.merged(parts), owned) == []
