"""The `serviceaccounts/token` subresource: checks a TokenRequest and issues the token.

Invariants: a token lives at least ten minutes; it is bound to the uid of its service account, and of the Pod, Secret
or Node that was named; a pod's token also names the pod's node. None is bound to the configuration of a webhook: none
is ever called. A mounted token (the one that asks for 3607 seconds)
really lives for a year and carries `warnafter`, so that programs that read the file once only do not break.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tiphys.apiserver.authn.identity import service_account_name
from tiphys.apiserver.authn.service_accounts import PRIVATE_CLAIM
from tiphys.apiserver.authn.source import ObjectSource
from tiphys.apiserver.authn.tokens import TokenSigner
from tiphys.kinds.types import authentication_v1, core_v1, meta_v1
from tiphys.machinery import errors, names
from tiphys.machinery.field_errors import FieldError, Path, invalid, not_supported
from tiphys.machinery.timestamps import time_of

DEFAULT_SECONDS = 3600
LEAST_SECONDS = 600
MOST_SECONDS = 1 << 32
MOUNTED_SECONDS = 3607
EXTENDED_SECONDS = 365 * 86_400
SPEC = Path("spec")
WEBHOOK_KINDS = ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration")
REVIEWED_GROUPS = "admissionReviewAPIGroups"


@dataclass(frozen=True, slots=True)
class _Bound:
    """The private claims of what a token is bound to."""

    claims: Mapping[str, Any]
    is_pod: bool = False


def validate(request: authentication_v1.TokenRequest) -> list[FieldError]:
    """What is wrong with the lifetime that a TokenRequest asks for, and with what it attests."""
    spec, path = request.spec, SPEC.child("expirationSeconds")
    seconds = spec.expirationSeconds if spec.expirationSeconds is not None else DEFAULT_SECONDS
    found: list[FieldError] = []
    if seconds < LEAST_SECONDS:
        found.append(invalid(path, seconds, "may not specify a duration less than 10 minutes"))
    if seconds > MOST_SECONDS:
        found.append(invalid(path, seconds, "may not specify a duration larger than 2^32 seconds"))
    at = SPEC.child("attestations")
    if _is_for_webhooks(spec.boundObjectRef):
        audiences = spec.audiences or []
        if len(audiences) != 1:
            detail = "must be length 1 when bound to a webhook config"
            found.append(invalid(SPEC.child("audiences"), audiences, detail))
        return found + _attestation_findings(spec.attestations or {}, at)
    if spec.attestations:
        detail = "attestations may only be specified with a webhook bound object reference"
        return [invalid(at, spec.attestations, detail)]
    return found


def _is_for_webhooks(ref: authentication_v1.BoundObjectReference | None) -> bool:
    return ref is not None and ref.kind in WEBHOOK_KINDS and ref.apiVersion == "admissionregistration.k8s.io/v1"


def _attestation_findings(attestations: Mapping[str, list[str]], path: Path) -> list[FieldError]:
    """The group of the API that a webhook is asked about, or all of them."""
    if len(attestations) != 1:
        detail = f"webhook bound requests require exactly one {REVIEWED_GROUPS} attestation"
        return [invalid(path, attestations, detail)]
    (name, values), *_ = attestations.items()
    at = path.key(name)
    if name != REVIEWED_GROUPS:
        return [not_supported(at, name, (REVIEWED_GROUPS,))]
    if len(values) != 1:
        return [invalid(at, values, "must specify a single value")]
    group, at = values[0], at.index(0)
    if not group:
        return [invalid(at, group, "may not be an empty string")]
    texts = names.dns1123_subdomain(group) if group != "*" else []
    return [invalid(at, group, f"must specify a valid API Group: {text}") for text in texts]


class TokenIssuer:
    """Issues tokens under `issuer`; `audiences` are what a request without audiences gets."""

    def __init__(self, signer: TokenSigner, source: ObjectSource, issuer: str, audiences: Sequence[str]) -> None:
        self._signer = signer
        self._source = source
        self._issuer = issuer
        self._audiences = tuple(audiences)

    def issue(
        self, namespace: str, name: str, request: authentication_v1.TokenRequest, now: float, token_id: str
    ) -> authentication_v1.TokenRequest:
        """The answered request. `token_id` becomes the claim `jti` (a fresh UUID). ApiError 400, 404, 409 or 422."""
        account = self._source.get(core_v1.ServiceAccount, namespace, name)
        if account is None:
            raise errors.not_found("serviceaccounts", "", name)
        self._check_names(namespace, name, request)
        findings = validate(request)
        if findings:
            raise errors.invalid("TokenRequest", "authentication.k8s.io", name, findings)
        bound = self._bound(account, request.spec.boundObjectRef)
        audiences = request.spec.audiences or list(self._audiences)
        asked_seconds = request.spec.expirationSeconds or DEFAULT_SECONDS
        issued = int(now)
        private: dict[str, Any] = {
            "namespace": namespace,
            **bound.claims,
            "serviceaccount": {"name": name, "uid": account.metadata.uid or ""},
        }
        lifetime_seconds = asked_seconds
        if asked_seconds == MOUNTED_SECONDS and bound.is_pod and set(audiences) <= set(self._audiences):
            lifetime_seconds = EXTENDED_SECONDS
            private["warnafter"] = issued + asked_seconds
        claims = {
            "aud": audiences,
            "exp": issued + lifetime_seconds,
            "iat": issued,
            "iss": self._issuer,
            "jti": token_id,
            PRIVATE_CLAIM: private,
            "nbf": issued,
            "sub": service_account_name(namespace, name),
        }
        return authentication_v1.TokenRequest(
            metadata=meta_v1.ObjectMeta(name=name, namespace=namespace, creationTimestamp=time_of(now)),
            spec=authentication_v1.TokenRequestSpec(
                audiences=audiences,
                expirationSeconds=asked_seconds,
                boundObjectRef=request.spec.boundObjectRef,
                attestations=request.spec.attestations,
            ),
            status=authentication_v1.TokenRequestStatus(
                token=self._signer.sign(claims), expirationTimestamp=time_of(issued + asked_seconds)
            ),
        )

    @staticmethod
    def _check_names(namespace: str, name: str, request: authentication_v1.TokenRequest) -> None:
        given = request.metadata
        if given.name and given.name != name:
            raise errors.bad_request(f"the name of the provided object ({given.name}) does not match the URL ({name})")
        if given.namespace and given.namespace != namespace:
            raise errors.bad_request(
                "the namespace of the provided object does not match the namespace sent on the request"
            )

    def _bound(self, account: core_v1.ServiceAccount, ref: authentication_v1.BoundObjectReference | None) -> _Bound:
        if ref is None:
            return _Bound({})
        namespace, name, kind = account.metadata.namespace or "", ref.name or "", ref.kind or ""
        group, _, version = (ref.apiVersion or "").rpartition("/")
        if group or kind not in ("Pod", "Secret", "Node"):
            raise errors.bad_request(f"cannot bind token for object of type {group}/{version}, Kind={kind}")
        if kind == "Node":
            node = self._source.get(core_v1.Node, "", name)
            return _Bound({"node": _checked("nodes", node, ref)})
        if kind == "Secret":
            secret = self._source.get(core_v1.Secret, namespace, name)
            return _Bound({"secret": _checked("secrets", secret, ref)})
        pod = self._source.get(core_v1.Pod, namespace, name)
        claims: dict[str, Any] = {"pod": _checked("pods", pod, ref)}
        assert pod is not None
        if (pod.spec.serviceAccountName or "") != account.metadata.name:
            message = f'cannot bind token for serviceaccount "{account.metadata.name}"'
            raise errors.bad_request(f"{message} to pod running with different serviceaccount name.")
        if pod.spec.nodeName:
            node = self._source.get(core_v1.Node, "", pod.spec.nodeName)
            claims["node"] = {"name": pod.spec.nodeName}
            if node is not None:
                claims["node"]["uid"] = node.metadata.uid or ""
        return _Bound(claims, is_pod=True)


def _checked(resource: str, found: Any, ref: authentication_v1.BoundObjectReference) -> dict[str, str]:
    """The claim for a bound object that is there with the wanted uid. ApiError 404 or 409."""
    name = ref.name or ""
    if found is None:
        raise errors.not_found(resource, "", name)
    uid = found.metadata.uid or ""
    if ref.uid and ref.uid != uid:
        detail = (
            f"the UID in the bound object reference ({ref.uid}) does not match the UID in record. "
            "The object might have been deleted and then recreated"
        )
        raise errors.conflict(resource, "", name, detail)
    return {"name": name, "uid": uid}
