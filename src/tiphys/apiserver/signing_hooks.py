"""The write hooks of signing requests, certificates of pods and trust bundles: who asks is said by the server, and
signers have guards.

Who approves, signs or attests in the name of a signer must be allowed that verb on `signers`, by the signer's name or
by its whole domain (`example.com/*`). Specified in "Certificate Signing Requests".
"""

from __future__ import annotations

from typing import Any

from tiphys.apiserver.authn.identity import UserInfo
from tiphys.apiserver.authz.interface import Attributes, Authorizer
from tiphys.apiserver.hooks import Ended
from tiphys.apiserver.rest.context import WriteContext
from tiphys.apiserver.rest.subresources import date_conditions
from tiphys.machinery import errors
from tiphys.machinery.field_errors import Path, forbidden

GROUP = "certificates.k8s.io"


def may_act_for(authorizer: Authorizer, user: UserInfo, verb: str, signer: str) -> bool:
    """Whether the user may do this in the name of the signer."""
    domain = signer.partition("/")[0]
    return any(
        authorizer.authorize(Attributes(user, verb, GROUP, "v1", "signers", name=name)).allowed
        for name in (signer, f"{domain}/*")
    )


class SigningRequests:
    """See `hooks.WriteHook`."""

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    def before_write(self, context: WriteContext, new: Any, old: Any) -> Ended | None:
        if old is None:
            _identify(new.spec, context.user)
        elif context.subresource == "approval":
            self._check(context, "approve", old.spec.signerName)
        elif context.subresource == "status" and new.status != old.status:
            self._check(context, "sign", old.spec.signerName)
            date_conditions(new, old, context.now)
        return None

    def _check(self, context: WriteContext, verb: str, signer: str) -> None:
        if not may_act_for(self._authorizer, context.user, verb, signer):
            detail = f'user not permitted to {verb} requests with signerName "{signer}"'
            raise errors.forbidden(context.resource.plural, GROUP, context.name, detail)


def _identify(spec: Any, user: UserInfo) -> None:
    """Whatever the asker says of itself is replaced by who it is."""
    spec.username = user.name or None
    spec.uid = user.uid or None
    spec.groups = list(user.groups) or None
    spec.extra = {key: list(words) for key, words in user.extra.items()} or None


class PodCertificates:
    """A certificate for a pod is written by who may sign for the signer. See `hooks.WriteHook`."""

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    def before_write(self, context: WriteContext, new: Any, old: Any) -> Ended | None:
        if old is None or (new.status.certificateChain or "") == (old.status.certificateChain or ""):
            return None
        signer = old.spec.signerName
        if not may_act_for(self._authorizer, context.user, "sign", signer):
            detail = f'User "{context.user.name}" is not permitted to "sign" for signer "{signer}"'
            found = [forbidden(Path("spec.signerName"), detail)]
            raise errors.invalid(context.resource.kind, GROUP, context.name, found)
        return None


class TrustBundles:
    """A bundle that names a signer is written by who may attest for it. See `hooks.WriteHook`."""

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    def before_write(self, context: WriteContext, new: Any, old: Any) -> Ended | None:
        signer = new.spec.signerName
        if not signer or (old is not None and old.spec == new.spec):
            return None
        if not may_act_for(self._authorizer, context.user, "attest", signer):
            detail = f'user not permitted to attest for signerName "{signer}"'
            raise errors.forbidden(context.resource.plural, GROUP, new.metadata.name or "", detail)
        return None
