"""Answers to access reviews: may this user do that (`kubectl auth can-i`), and what may a user do at all (`can-i
--list`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from tiphys.apiserver.authn.identity import PRIVILEGED_GROUP, UserInfo
from tiphys.apiserver.authz.interface import Attributes, Authorizer
from tiphys.apiserver.authz.rbac import RbacAuthorizer
from tiphys.apiserver.authz.review_selectors import (
    label_selector_problem,
    usable_field_selector,
    validate_selectors,
)
from tiphys.kinds.equality import same
from tiphys.kinds.types import meta_v1
from tiphys.kinds.types.authorization_v1 import (
    LocalSubjectAccessReview,
    NonResourceAttributes,
    NonResourceRule,
    ResourceAttributes,
    ResourceRule,
    SelfSubjectAccessReview,
    SelfSubjectAccessReviewSpec,
    SelfSubjectRulesReview,
    SubjectAccessReview,
    SubjectAccessReviewSpec,
    SubjectAccessReviewStatus,
    SubjectRulesReviewStatus,
)
from tiphys.machinery import errors, field_errors
from tiphys.machinery.field_errors import FieldError, Path

GROUP = "authorization.k8s.io"
SPEC = Path("spec")

AnyReview = TypeVar("AnyReview", SubjectAccessReview, LocalSubjectAccessReview, SelfSubjectAccessReview)


def review_subject(review: SubjectAccessReview, authorizer: Authorizer) -> SubjectAccessReview:
    """ApiError 422 for a review that asks for nobody, or for not exactly one thing."""
    findings = _subject_findings(review.spec) + _metadata_findings(review.metadata)
    if findings:
        raise errors.invalid("SubjectAccessReview", GROUP, "", findings)
    return _answered(review, _subject(review.spec), authorizer)


def review_subject_locally(
    review: LocalSubjectAccessReview, namespace: str, authorizer: Authorizer
) -> LocalSubjectAccessReview:
    """As above, in the namespace of the URL. ApiError 422."""
    findings = _subject_findings(review.spec) + _metadata_findings(review.metadata, with_namespace=True)
    asked, path = review.spec.resourceAttributes, review.spec.nonResourceAttributes
    if asked is not None and (asked.namespace or "") != namespace:
        at = SPEC.child("resourceAttributes", "namespace")
        findings.append(field_errors.invalid(at, asked.namespace or "", "must match metadata.namespace"))
    if path is not None:
        at = SPEC.child("nonResourceAttributes")
        findings.append(field_errors.invalid(at, path, "disallowed on this kind of request"))
    if findings:
        raise errors.invalid("LocalSubjectAccessReview", GROUP, "", findings)
    return _answered(review, _subject(review.spec), authorizer)


def review_self(review: SelfSubjectAccessReview, user: UserInfo, authorizer: Authorizer) -> SelfSubjectAccessReview:
    """As above, about the user who asks. ApiError 422."""
    findings = _attribute_findings(review.spec) + _metadata_findings(review.metadata)
    if findings:
        raise errors.invalid("SelfSubjectAccessReview", GROUP, "", findings)
    return _answered(review, user, authorizer)


def _subject_findings(spec: SubjectAccessReviewSpec) -> list[FieldError]:
    findings = _attribute_findings(spec)
    if not spec.user and not spec.groups:
        detail = "at least one of user or group must be specified"
        findings.append(field_errors.invalid(SPEC.child("user"), spec.user or "", detail))
    return findings


def _attribute_findings(spec: SubjectAccessReviewSpec | SelfSubjectAccessReviewSpec) -> list[FieldError]:
    resource, path = spec.resourceAttributes, spec.nonResourceAttributes
    findings: list[FieldError] = []
    if resource is not None and path is not None:
        detail = "cannot be specified in combination with resourceAttributes"
        findings.append(field_errors.invalid(SPEC.child("nonResourceAttributes"), path, detail))
    if resource is None and path is None:
        detail = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        findings.append(field_errors.invalid(SPEC.child("resourceAttributes"), None, detail))
    return findings + (validate_selectors(resource) if resource is not None else [])


def _metadata_findings(metadata: meta_v1.ObjectMeta, with_namespace: bool = False) -> list[FieldError]:
    """A review is about nothing that has a name; who manages its fields does not matter."""
    allowed = meta_v1.ObjectMeta(managedFields=metadata.managedFields)
    if with_namespace:
        allowed.namespace = metadata.namespace
    if same(metadata, allowed):
        return []
    detail = "must be empty except for namespace" if with_namespace else "must be empty"
    return [field_errors.invalid(Path("metadata"), metadata, detail)]


def _subject(spec: SubjectAccessReviewSpec) -> UserInfo:
    extra: Mapping[str, tuple[str, ...]] = {key.lower(): tuple(values) for key, values in (spec.extra or {}).items()}
    return UserInfo(spec.user or "", spec.uid or "", tuple(spec.groups or ()), extra)


def _answered(review: AnyReview, user: UserInfo, authorizer: Authorizer) -> AnyReview:
    resource = review.spec.resourceAttributes
    decision = authorizer.authorize(attributes_of(user, resource, review.spec.nonResourceAttributes))
    problems = [usable_field_selector(resource)[1], label_selector_problem(resource)] if resource is not None else []
    status = SubjectAccessReviewStatus(
        allowed=decision.allowed,
        denied=decision.denied or None,
        reason=decision.reason or None,
        evaluationError="; ".join(problem for problem in problems if problem) or None,
    )
    return type(review)(metadata=review.metadata, spec=review.spec, status=status)


def attributes_of(
    user: UserInfo, resource: ResourceAttributes | None, path: NonResourceAttributes | None
) -> Attributes:
    """The question that a review asks."""
    if resource is not None:
        return Attributes(
            user,
            resource.verb or "",
            resource.group or "",
            resource.version or "",
            resource.resource or "",
            resource.subresource or "",
            resource.namespace or "",
            resource.name or "",
            field_selector=usable_field_selector(resource)[0],
        )
    assert path is not None
    return Attributes(user, path.verb or "", path=path.path or "", is_resource=False)


def review_rules(review: SelfSubjectRulesReview, user: UserInfo, rbac: RbacAuthorizer) -> SelfSubjectRulesReview:
    """Every rule that reaches the user in a namespace. ApiError 400 without one."""
    namespace = review.spec.namespace or ""
    if not namespace:
        raise errors.bad_request("no namespace on request")
    found, problems = rbac.rules_for(user, namespace)
    resource_rules = [
        ResourceRule(
            verbs=rule.verbs, apiGroups=rule.apiGroups, resources=rule.resources, resourceNames=rule.resourceNames
        )
        for rule in found
        if rule.resources
    ]
    path_rules = [
        NonResourceRule(verbs=rule.verbs, nonResourceURLs=rule.nonResourceURLs)
        for rule in found
        if rule.nonResourceURLs
    ]
    if PRIVILEGED_GROUP in user.groups:
        resource_rules.append(ResourceRule(verbs=["*"], apiGroups=["*"], resources=["*"]))
        path_rules.append(NonResourceRule(verbs=["*"], nonResourceURLs=["*"]))
    status = SubjectRulesReviewStatus(
        resourceRules=resource_rules,
        nonResourceRules=path_rules,
        incomplete=bool(problems),
        evaluationError=", ".join(problems) or None,
    )
    return SelfSubjectRulesReview(metadata=meta_v1.ObjectMeta(), spec=review.spec, status=status)
