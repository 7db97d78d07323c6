"""Answers to TokenReview and SelfSubjectReview: who a token or a request is."""

from __future__ import annotations

from tiphys.apiserver.authn.authenticator import Authenticator
from tiphys.apiserver.authn.identity import UserInfo
from tiphys.apiserver.authn.tokens import BadToken
from tiphys.kinds.types import authentication_v1, meta_v1
from tiphys.machinery import errors
from tiphys.machinery.timestamps import time_of


def user_object(user: UserInfo) -> authentication_v1.UserInfo:
    """A UserInfo as the API writes it."""
    return authentication_v1.UserInfo(
        username=user.name,
        uid=user.uid or None,
        groups=list(user.groups) or None,
        extra={key: list(values) for key, values in sorted(user.extra.items())} or None,
    )


def review_token(
    review: authentication_v1.TokenReview, authenticator: Authenticator, now: float
) -> authentication_v1.TokenReview:
    """The review with its status: whom the token names, and for which of the wanted audiences (by default the API
    server's own) it is good. ApiError 400 without a token."""
    if not review.spec.token:
        raise errors.bad_request("token is required for TokenReview in authentication")
    wanted = review.spec.audiences or list(authenticator.audiences)
    try:
        found = authenticator.token_user(review.spec.token, now)
    except BadToken as error:
        status = authentication_v1.TokenReviewStatus(authenticated=False, error=f"[{error}]")
    else:
        good = [audience for audience in wanted if audience in found.audiences]
        if good:
            status = authentication_v1.TokenReviewStatus(
                authenticated=True, user=user_object(found.user), audiences=good
            )
        else:
            message = f"token audiences {list(found.audiences)} is invalid for the target audiences {wanted}"
            status = authentication_v1.TokenReviewStatus(authenticated=False, error=message)
    return authentication_v1.TokenReview(metadata=review.metadata, spec=review.spec, status=status)


def review_self(user: UserInfo, now: float) -> authentication_v1.SelfSubjectReview:
    """Who makes this request (`kubectl auth whoami`)."""
    return authentication_v1.SelfSubjectReview(
        metadata=meta_v1.ObjectMeta(creationTimestamp=time_of(now)),
        status=authentication_v1.SelfSubjectReviewStatus(userInfo=user_object(user)),
    )
