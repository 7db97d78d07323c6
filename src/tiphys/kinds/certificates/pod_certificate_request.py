"""PodCertificateRequests: a kubelet's request for a certificate in the name of a pod."""

from __future__ import annotations

from tiphys.kinds import cells
from tiphys.kinds.certificates.certificate_signing_request import signer_findings
from tiphys.kinds.object_meta import immutable, subdomain_name
from tiphys.kinds.spec_and_status import clear_status, keep_spec, keep_status
from tiphys.kinds.strategy import Strategy
from tiphys.kinds.types.certificates_v1 import PodCertificateRequest
from tiphys.machinery.field_errors import FieldError, Path, forbidden, invalid, required, too_long

SPEC, STATUS = Path("spec"), Path("status")
UID_LIMIT_BYTES = 128
PROOF_LIMIT_BYTES = 10 * 1024
SHORTEST_SECONDS, LONGEST_SECONDS = 3600, 91 * 24 * 3600
DEFAULT_SECONDS = 24 * 3600
ENDINGS = ("Denied", "Failed", "Issued")


def default(request: PodCertificateRequest) -> None:
    if request.spec.maxExpirationSeconds is None:
        request.spec.maxExpirationSeconds = DEFAULT_SECONDS


def validate(request: PodCertificateRequest) -> list[FieldError]:
    spec = request.spec
    found = signer_findings(spec.signerName, SPEC.child("signerName"))
    for field in ("podName", "serviceAccountName", "nodeName"):
        value = getattr(spec, field)
        found += [invalid(SPEC.child(field), value, text) for text in subdomain_name(value)]
    for field in ("podUID", "serviceAccountUID", "nodeUID"):
        value = getattr(spec, field)
        if not value:
            found.append(required(SPEC.child(field), f"{field} must not be empty"))
        elif len(value) > UID_LIMIT_BYTES:
            found.append(too_long(SPEC.child(field), UID_LIMIT_BYTES))
    seconds = spec.maxExpirationSeconds
    if seconds is not None and not SHORTEST_SECONDS <= seconds <= LONGEST_SECONDS:
        detail = f"must be in the range [{SHORTEST_SECONDS}, {LONGEST_SECONDS}]"
        found.append(invalid(SPEC.child("maxExpirationSeconds"), seconds, detail))
    if not spec.stubPKCS10Request:
        found.append(required(SPEC.child("stubPKCS10Request"), "must not be empty"))
    elif len(spec.stubPKCS10Request) > PROOF_LIMIT_BYTES:
        found.append(too_long(SPEC.child("stubPKCS10Request"), PROOF_LIMIT_BYTES))
    return found


def _endings(request: PodCertificateRequest) -> set[str]:
    return {c.type for c in request.status.conditions or () if c.type in ENDINGS and c.status == "True"}


def validate_status_update(new: PodCertificateRequest, old: PodCertificateRequest) -> list[FieldError]:
    """A request ends once: denied, failed or issued with a certificate."""
    found: list[FieldError] = []
    if _endings(old):
        found += immutable(new.status, old.status, STATUS)
    endings = _endings(new)
    if len(endings) > 1:
        detail = 'There may be at most one condition with type "Issued", "Denied", or "Failed"'
        found.append(invalid(STATUS.child("conditions"), sorted(endings), detail))
    if "Issued" in endings and not new.status.certificateChain:
        found.append(required(STATUS.child("certificateChain"), "must be set in status Issued"))
    if "Issued" not in endings and new.status.certificateChain:
        found.append(forbidden(STATUS.child("certificateChain"), "may only be set in status Issued"))
    return found


def state_text(request: PodCertificateRequest) -> str:
    return next(iter(sorted(_endings(request))), "Pending")


STRATEGY: Strategy[PodCertificateRequest] = Strategy(
    default=default,
    prepare_for_create=clear_status,
    prepare_for_update=keep_status,
    prepare_for_status_update=keep_spec,
    validate=validate,
    validate_update=lambda new, old: immutable(new.spec, old.spec, SPEC),
    validate_status_update=validate_status_update,
    columns=(
        cells.name_column(),
        cells.text("PodName", lambda request: request.spec.podName),
        cells.text("ServiceAccountName", lambda request: request.spec.serviceAccountName),
        cells.text("NodeName", lambda request: request.spec.nodeName),
        cells.text("SignerName", lambda request: request.spec.signerName),
        cells.text("State", state_text),
        cells.age_column(),
    ),
    fields=lambda request: {
        "spec.signerName": request.spec.signerName,
        "spec.podName": request.spec.podName,
        "spec.nodeName": request.spec.nodeName,
    },
    has_generation=False,
)
