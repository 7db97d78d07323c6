"""PodCertificateRequests: a kubelet's request for a certificate in the name of a pod."""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from tiphys.kinds import cells
from tiphys.kinds.certificates.certificate_signing_request import signer_findings
from tiphys.kinds.certificates.issued_chain import issue_findings
from tiphys.kinds.condition_findings import validate_conditions
from tiphys.kinds.equality import same
from tiphys.kinds.object_meta import ANNOTATIONS_LIMIT_BYTES, immutable, label_key_findings, subdomain_name
from tiphys.kinds.spec_and_status import clear_status, keep_spec, keep_status
from tiphys.kinds.strategy import Strategy
from tiphys.kinds.types.certificates_v1 import PodCertificateRequest, PodCertificateRequestStatus
from tiphys.machinery.field_errors import FieldError, Path, contradictory, invalid, not_supported, required, too_long

SPEC, STATUS, CONDITIONS = Path("spec"), Path("status"), Path("status.conditions")
UID_LIMIT_BYTES = 128
PROOF_LIMIT_BYTES = 10 * 1024
RSA_BITS = (3072, 4096)
SHORTEST_SECONDS, LONGEST_SECONDS = 3600, 91 * 24 * 3600
LONGEST_OWN_SECONDS = 24 * 3600
DEFAULT_SECONDS = 24 * 3600
ENDINGS = ("Issued", "Denied", "Failed")


def default(request: PodCertificateRequest) -> None:
    if request.spec.maxExpirationSeconds is None:
        request.spec.maxExpirationSeconds = DEFAULT_SECONDS


def validate(request: PodCertificateRequest) -> list[FieldError]:
    spec = request.spec
    found = signer_findings(spec.signerName, SPEC.child("signerName"))
    found += user_annotation_findings(spec.unverifiedUserAnnotations or {}, SPEC.child("unverifiedUserAnnotations"))
    for field in ("podName", "serviceAccountName", "nodeName"):
        value = getattr(spec, field)
        found += [invalid(SPEC.child(field), value, text) for text in subdomain_name(value)]
    for field in ("podUID", "serviceAccountUID", "nodeUID"):
        value = getattr(spec, field)
        if not value:
            found.append(invalid(SPEC.child(field), value, "must not be empty"))
        elif len(value.encode()) > UID_LIMIT_BYTES:
            found.append(too_long(SPEC.child(field), UID_LIMIT_BYTES))
    seconds, at = spec.maxExpirationSeconds, SPEC.child("maxExpirationSeconds")
    longest = LONGEST_OWN_SECONDS if is_own_signer(spec.signerName) else LONGEST_SECONDS
    if seconds is not None and not SHORTEST_SECONDS <= seconds <= longest:
        found.append(invalid(at, seconds, f"must be in the range [{SHORTEST_SECONDS}, {longest}]"))
    return found + _request_findings(spec.stubPKCS10Request, SPEC.child("stubPKCS10Request"))


def is_own_signer(name: str) -> bool:
    """Whether it is one that Kubernetes itself defines."""
    domain = name.partition("/")[0]
    return domain == "kubernetes.io" or domain.endswith(".kubernetes.io")


def user_annotation_findings(annotations: dict[str, str], path: Path) -> list[FieldError]:
    """What the writer of a pod tells the signer: keys with a domain, of the size of annotations."""
    found: list[FieldError] = []
    for key in annotations:
        texts = label_key_findings(key.lower()) if key else []
        if not key:
            found.append(required(path))
        elif not texts and "/" not in key:
            texts = ['must be a domain-prefixed key (such as "acme.io/foo")']
        found += [invalid(path, key.lower(), text) for text in texts]
    if sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items()) > ANNOTATIONS_LIMIT_BYTES:
        found.append(too_long(path, ANNOTATIONS_LIMIT_BYTES))
    return found


def _request_findings(request: bytes | None, path: Path) -> list[FieldError]:
    """The request names the key and proves that who asks has it; everything else in it is of no account."""
    if not request:
        return [required(path, "must not be empty")]
    if len(request) > PROOF_LIMIT_BYTES:
        return [too_long(path, PROOF_LIMIT_BYTES)]
    try:
        parsed = x509.load_der_x509_csr(request)
        key, is_signed = parsed.public_key(), parsed.is_signature_valid
    except (ValueError, UnsupportedAlgorithm):
        return [contradictory(path, "must be a valid PKCS#10 certificate signing request in DER form")]
    if isinstance(key, rsa.RSAPublicKey) and key.key_size not in RSA_BITS:
        return [invalid(path, f"{key.key_size}-bit modulus", "RSA keys must have modulus size 3072 or 4096")]
    if not isinstance(key, rsa.RSAPublicKey | ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey):
        return [contradictory(path, "unknown public key type; supported types are Ed25519, ECDSA, and RSA")]
    return [] if is_signed else [contradictory(path, "could not verify the signature of the request")]


def _endings(request: PodCertificateRequest) -> set[str]:
    return {c.type for c in request.status.conditions or () if c.type in ENDINGS and c.status == "True"}


def validate_status_update(new: PodCertificateRequest, old: PodCertificateRequest) -> list[FieldError]:
    """A request ends once: denied, failed or issued with a certificate."""
    conditions = new.status.conditions or []
    found: list[FieldError] = []
    known = 0
    for position, condition in enumerate(conditions):
        at = CONDITIONS.index(position)
        if condition.type not in ENDINGS:
            found.append(not_supported(at.child("type"), condition.type, ENDINGS))
            continue
        known += 1
        if known > 1:
            detail = 'There may be at most one condition with type "Issued", "Denied", or "Failed"'
            found.append(invalid(at.child("type"), condition.type, detail))
        if condition.status != "True":
            found.append(not_supported(at.child("status"), condition.status, ("True",)))
    found += validate_conditions(conditions, CONDITIONS)
    return found or _transition_findings(new, old)


def _transition_findings(new: PodCertificateRequest, old: PodCertificateRequest) -> list[FieldError]:
    endings = _endings(new)
    if _endings(old):
        detail = "immutable after PodCertificateRequest is issued, denied, or failed"
        return [] if same(new.status, old.status) else [contradictory(STATUS, detail)]
    if endings & {"Denied", "Failed"}:
        bare = PodCertificateRequestStatus(conditions=new.status.conditions)
        detail = "non-condition status fields must be empty when denying or failing the PodCertificateRequest"
        return [] if same(new.status, bare) else [contradictory(STATUS, detail)]
    if "Issued" in endings:
        return issue_findings(new)
    detail = 'status is immutable unless transitioning to "Issued", "Denied", or "Failed"'
    return [] if same(new.status, old.status) else [contradictory(STATUS, detail)]


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
