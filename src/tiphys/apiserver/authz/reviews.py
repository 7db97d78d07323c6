"""Answers to access reviews: may this user do that (`kubectl auth can-i`), and what may a user do at all (`can-i
--list`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from tiphys.apiserver.authn.identity import PRIVILEGED_GROUP, UserInfo
from tiphys.apiserver.authz.interface import Attributes, Authorizer
from tiphys.apiserver.authz.rbac import RbacAuthorizer
from tiphys.kinds.types import authorization_v1, meta_v1
from tiphys.kinds.types.authorization_v1 import (
    LocalSubjectAccessReview,
    NonResourceAttributes,
    NonResourceRule,
    ResourceAttributes,
    ResourceRule,
    SelfSubjectAccessReview,
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
_ONE_OF = "exactly one of nonResourceAttributes or resourceAttributes must be specified"

AnyReview = TypeVar("AnyReview", SubjectAccessReview, LocalSubjectAccessReview, SelfSubjectAccessReview)


def review_subject(review: SubjectAccessReview, authorizer: Authorizer) -> SubjectAccessReview:
    """ApiError 422 for a review that asks for nobody, or for not exactly one thing."""
    findings = _spec_findings(review.spec)
    if findings:
        raise errors.invalid("SubjectAccessReview", GROUP, "", findings)
    return _answered(review, _subject(review.spec), authorizer)


def review_subject_locally(
    review: LocalSubjectAccessReview, namespace: str, authorizer: Authorizer
) -> LocalSubjectAccessReview:
    """As above, in the namespace of the URL. ApiError 422."""
    findings = _spec_findings(review.spec)
    asked = review.spec.resourceAttributes
    if review.spec.nonResourceAttributes is not None:
        path = SPEC.child("nonResourceAttributes")
        findings.append(field_errors.forbidden(path, "disallowed on this kind of request"))
    if asked is not None and (asked.namespace or "") != namespace:
        path = SPEC.child("resourceAttributes", "namespace")
        findings.append(field_errors.invalid(path, asked.namespace or "", "must match metadata.namespace"))
    if findings:
        raise errors.invalid("LocalSubjectAccessReview", GROUP, "", findings)
    return _answered(review, _subject(review.spec), authorizer)


def review_self(review: SelfSubjectAccessReview, user: UserInfo, authorizer: Authorizer) -> SelfSubjectAccessReview:
    """As above, about the user who asks. ApiError 422."""
    findings = _attribute_findings(review.spec.resourceAttributes, review.spec.nonResourceAttributes)
    if findings:
        raise errors.invalid("SelfSubjectAccessReview", GROUP, "", findings)
    return _answered(review, user, authorizer)


def _spec_findings(spec: SubjectAccessReviewSpec) -> list[FieldError]:
    findings = _attribute_findings(spec.resourceAttributes, spec.nonResourceAttributes)
    if not spec.user and not spec.groups:
        findings.append(
            field_errors.invalid(SPEC.child("user"), spec.user or "", "at least one of user or group must be specified")
        )
    return findings


def _attribute_findings(resource: ResourceAttributes | None, path: NonResourceAttributes | None) -> list[FieldError]:
    if resource is not None and path is not None:
        return [
            field_errors.invalid(
                SPEC.child("nonResourceAttributes"),
                "",
                f"cannot be specified in combination with resourceAttributes: {_ONE_OF}",
            )
        ]
    if resource is None and path is None:
        return [field_errors.invalid(SPEC.child("resourceAttributes"), "", _ONE_OF)]
    return []


def _subject(spec: SubjectAccessReviewSpec) -> UserInfo:
    extra: Mapping[str, tuple[str, ...]] = {key.lower(): tuple(values) for key, values in (spec.extra or {}).items()}
    return UserInfo(spec.user or "", spec.uid or "", tuple(spec.groups or ()), extra)


def _answered(review: AnyReview, user: UserInfo, authorizer: Authorizer) -> AnyReview:
    decision = authorizer.authorize(
        attributes_of(user, review.spec.resourceAttributes, review.spec.nonResourceAttributes)
    )
    status = SubjectAccessReviewStatus(
        allowed=decision.allowed, denied=decision.denied or None, reason=decision.reason or None
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
            field_selector=_field_selector(resource.fieldSelector),
        )
    assert path is not None
    return Attributes(user, path.verb or "", path=path.path or "", is_resource=False)


def _field_selector(selector: authorization_v1.FieldSelectorAttributes | None) -> str:
    if selector is None:
        return ""
    if selector.rawSelector:
        return selector.rawSelector
    return ",".join(
        f"{requirement.key}={requirement.values[0]}"
        for requirement in selector.requirements or ()
        if requirement.operator == "In" and len(requirement.values or ()) == 1 and requirement.values
    )


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
