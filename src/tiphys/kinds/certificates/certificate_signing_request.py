"""CertificateSigningRequests: a request for a certificate, its approval and the certificate.

Who asks is filled in by the API server; approval and certificate are written through subresources of their own.
"""

from __future__ import annotations

from collections.abc import Callable

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tiphys.kinds import cells
from tiphys.kinds.certificates import pem_blocks
from tiphys.kinds.object_meta import label_name, path_segment_name, subdomain_name
from tiphys.kinds.strategy import Column, Strategy
from tiphys.kinds.types.certificates_v1 import (
    CertificateSigningRequest,
    CertificateSigningRequestCondition,
    CertificateSigningRequestStatus,
)
from tiphys.machinery.duration import human_duration
from tiphys.machinery.field_errors import (
    FieldError,
    Path,
    duplicate,
    forbidden,
    invalid,
    not_supported,
    required,
    too_long,
)
from tiphys.machinery.repetition import repeated

SPEC, CONDITIONS, CERTIFICATE = Path("spec"), Path("status.conditions"), Path("status.certificate")
NAME_LIMIT_BYTES = 253
SIGNER_NAME_LIMIT_BYTES = 571
SHORTEST_SECONDS = 600
APPROVED, DENIED, FAILED = "Approved", "Denied", "Failed"
DECISIONS = (APPROVED, DENIED)
USAGES = frozenset(
    (
        "signing",
        "digital signature",
        "content commitment",
        "key encipherment",
        "key agreement",
        "data encipherment",
        "cert sign",
        "crl sign",
        "encipher only",
        "decipher only",
        "any",
        "server auth",
        "client auth",
        "code signing",
        "email protection",
        "s/mime",
        "ipsec end system",
        "ipsec tunnel",
        "ipsec user",
        "timestamping",
        "ocsp signing",
        "microsoft sgc",
        "netscape sgc",
    )
)


def prepare_for_create(request: CertificateSigningRequest) -> None:
    """The identity of the asker is set after this, by the API server, whatever the asker says."""
    request.status = CertificateSigningRequestStatus()


def prepare_for_update(new: CertificateSigningRequest, old: CertificateSigningRequest) -> None:
    new.spec, new.status = old.spec, old.status


def prepare_for_status_update(new: CertificateSigningRequest, old: CertificateSigningRequest) -> None:
    """The signer writes certificate and conditions; decisions that are there stay as they are."""
    new.spec = old.spec
    for decision in DECISIONS:
        before, after = _of_type(old, decision), _of_type(new, decision)
        if len(before) == len(after):
            kept = iter(before)
            conditions = new.status.conditions or []
            new.status.conditions = [next(kept) if c.type == decision else c for c in conditions] or None


def _of_type(request: CertificateSigningRequest, kind: str) -> list[CertificateSigningRequestCondition]:
    return [condition for condition in request.status.conditions or () if condition.type == kind]


def validate(request: CertificateSigningRequest) -> list[FieldError]:
    spec = request.spec
    found: list[FieldError] = []
    if problem := _request_problem(spec.request):
        found.append(invalid(SPEC.child("request"), spec.request, problem))
    if not spec.usages:
        found.append(required(SPEC.child("usages"), "usages must be provided"))
    again = repeated(spec.usages or ())
    for position, usage in enumerate(spec.usages or ()):
        at = SPEC.child("usages").index(position)
        if usage not in USAGES:
            found.append(not_supported(at, usage, sorted(USAGES)))
        if position in again:
            found.append(duplicate(at, usage))
    if not spec.signerName:
        found.append(required(SPEC.child("signerName"), "signerName must be provided"))
    elif spec.signerName == "kubernetes.io/legacy-unknown":
        detail = "the legacy signerName is not allowed via this API version"
        found.append(invalid(SPEC.child("signerName"), spec.signerName, detail))
    else:
        found += signer_findings(spec.signerName, SPEC.child("signerName"))
    seconds = spec.expirationSeconds
    if seconds is not None and seconds < SHORTEST_SECONDS:
        detail = f"may not specify a duration less than {SHORTEST_SECONDS} seconds (10 minutes)"
        found.append(invalid(SPEC.child("expirationSeconds"), seconds, detail))
    return found + _condition_findings(request)


def signer_findings(name: str, path: Path) -> list[FieldError]:
    """`example.com/signer`: a domain and one path of names."""
    domain, slash, rest = name.partition("/")
    if not slash or "/" in rest:
        detail = "must be a fully qualified domain and path of the form 'example.com/signer-name'"
        return [invalid(path, name, detail)]
    found = [too_long(path, NAME_LIMIT_BYTES)] if len(domain.encode()) > NAME_LIMIT_BYTES else []
    found += _part_findings(domain, label_name, path)
    if "." not in domain:
        detail = "should be a domain with at least two segments separated by dots"
        found.append(invalid(path, domain, detail))
    found += _part_findings(rest, subdomain_name, path)
    if len(name.encode()) > SIGNER_NAME_LIMIT_BYTES:
        found.append(too_long(path, SIGNER_NAME_LIMIT_BYTES))
    return found


def _part_findings(joined: str, rule: Callable[[str], list[str]], path: Path) -> list[FieldError]:
    """What is wrong with the first part that is not as it should be; what is wrong with the next is seldom news."""
    for part in joined.split("."):
        if texts := rule(part):
            return [invalid(path, joined, f'validating label "{part}": {text}') for text in texts]
    return []


def _request_problem(request: bytes) -> str:
    block = next(pem_blocks.blocks(request.decode(errors="replace")), None)
    if block is None or block.kind != pem_blocks.REQUEST:
        return "PEM block type must be CERTIFICATE REQUEST"
    try:
        parsed = x509.load_der_x509_csr(block.content)
        key, is_signed = parsed.public_key(), parsed.is_signature_valid
    except (ValueError, UnsupportedAlgorithm):
        return "x509: malformed certificate request"
    if is_signed:
        return ""
    if isinstance(key, rsa.RSAPublicKey):
        return "crypto/rsa: verification error"
    return f"x509: {'ECDSA' if isinstance(key, ec.EllipticCurvePublicKey) else 'Ed25519'} verification failure"


def _certificate_problem(certificate: bytes) -> str:
    entries = list(pem_blocks.blocks(certificate.decode(errors="replace")))
    for entry in entries:
        if entry.kind != pem_blocks.CERTIFICATE:
            return f'only CERTIFICATE PEM blocks are allowed, found "{entry.kind}"'
        if entry.has_headers:
            return "no PEM block headers are permitted"
        if not entry.content:
            return "found CERTIFICATE PEM block containing 0 certificates"
        if pem_blocks.certificate_of(entry) is None:
            return "x509: malformed certificate"
    return "" if entries else "must contain at least one CERTIFICATE PEM block"


def _condition_findings(request: CertificateSigningRequest) -> list[FieldError]:
    found: list[FieldError] = []
    seen: set[str] = set()
    for position, condition in enumerate(request.status.conditions or ()):
        at = CONDITIONS.index(position)
        if not condition.type:
            found.append(required(at.child("type")))
        always = condition.type in (APPROVED, DENIED, FAILED)
        if not condition.status:
            found.append(required(at.child("status")))
        elif always and condition.status != "True":
            found.append(not_supported(at.child("status"), condition.status, ("True",)))
        elif condition.status not in ("True", "False", "Unknown"):
            found.append(not_supported(at.child("status"), condition.status, ("False", "True", "Unknown")))
        if {APPROVED: DENIED, DENIED: APPROVED}.get(condition.type) in seen:
            found.append(invalid(CONDITIONS, condition.type, "Approved and Denied conditions are mutually exclusive"))
        if condition.type in seen:
            found.append(duplicate(at.child("type"), condition.type))
        seen.add(condition.type)
    return found


def validate_status_update(new: CertificateSigningRequest, old: CertificateSigningRequest) -> list[FieldError]:
    """Who signs does not decide."""
    added = [
        forbidden(CONDITIONS, f'updates may not add a condition of type "{decision}"')
        for decision in DECISIONS
        if len(_of_type(new, decision)) > len(_of_type(old, decision))
    ]
    return validate_approval(new, old) + added


def validate_approval(new: CertificateSigningRequest, old: CertificateSigningRequest) -> list[FieldError]:
    return _condition_findings(new) + validate_transition(new, old)


def validate_transition(new: CertificateSigningRequest, old: CertificateSigningRequest) -> list[FieldError]:
    """Decisions and certificates last."""
    found: list[FieldError] = []
    now = {condition.type for condition in new.status.conditions or ()}
    for condition in old.status.conditions or ():
        if condition.type in (APPROVED, DENIED, FAILED) and condition.type not in now:
            detail = f'updates may not remove a condition of type "{condition.type}"'
            found.append(forbidden(CONDITIONS, detail))
    before, after = old.status.certificate or b"", new.status.certificate or b""
    if before == after:
        return found
    if after and not (before and _certificate_problem(before)) and (problem := _certificate_problem(after)):
        found.insert(0, invalid(CERTIFICATE, "<certificate data>", problem))
    if before:
        found.append(forbidden(CERTIFICATE, "updates may not modify existing certificate content"))
    return found


def status_word(request: CertificateSigningRequest) -> str:
    given = {condition.type for condition in request.status.conditions or ()}
    word = "Denied" if DENIED in given else "Approved" if APPROVED in given else "Pending"
    if FAILED in given:
        word += ",Failed"
    return f"{word},Issued" if request.status.certificate else word


def _wanted(request: CertificateSigningRequest, _: float) -> str:
    seconds = request.spec.expirationSeconds
    return cells.NONE if seconds is None else human_duration(seconds)


STRATEGY: Strategy[CertificateSigningRequest] = Strategy(
    prepare_for_create=prepare_for_create,
    prepare_for_update=prepare_for_update,
    prepare_for_status_update=prepare_for_status_update,
    validate=validate,
    validate_update=validate_transition,
    validate_status_update=validate_status_update,
    name_findings=path_segment_name,
    subresource_validators={"approval": validate_approval},
    columns=(
        cells.name_column(),
        cells.age_column(),
        cells.text("SignerName", lambda request: request.spec.signerName),
        cells.text("Requestor", lambda request: request.spec.username or ""),
        Column(name="RequestedDuration", cell=_wanted),
        cells.text("Condition", status_word),
    ),
    fields=lambda request: {"spec.signerName": request.spec.signerName},
    has_generation=False,
)
