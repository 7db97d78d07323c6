"""ClusterTrustBundles: root certificates for everybody in the cluster, perhaps those of one signer."""

from __future__ import annotations

from tiphys.kinds import cells
from tiphys.kinds.certificates import pem_blocks
from tiphys.kinds.certificates.certificate_signing_request import signer_findings
from tiphys.kinds.object_meta import IMMUTABLE, subdomain_name
from tiphys.kinds.strategy import Strategy
from tiphys.kinds.types.certificates_v1 import ClusterTrustBundle
from tiphys.machinery.field_errors import FieldError, Path, invalid, too_long

SPEC = Path("spec")
BUNDLE_LIMIT_BYTES = 1024 * 1024


def bundle_name(name: str, prefix: bool = False) -> list[str]:
    """A subdomain, after the signer's name with colons when the bundle is a signer's (`_name_findings` knows)."""
    return subdomain_name(name.rpartition(":")[2], prefix)


def validate(bundle: ClusterTrustBundle) -> list[FieldError]:
    return _name_findings(bundle) + _anchor_findings(bundle.spec.trustBundle, SPEC.child("trustBundle"))


def validate_changed(new: ClusterTrustBundle, old: ClusterTrustBundle) -> list[FieldError]:
    """Certificates that were good once stay good."""
    return _name_findings(new) if new.spec.trustBundle == old.spec.trustBundle else validate(new)


def _name_findings(bundle: ClusterTrustBundle) -> list[FieldError]:
    name, signer, at = bundle.metadata.name or "", bundle.spec.signerName or "", Path("metadata.name")
    if not signer:
        detail = 'ClusterTrustBundle without signer name must not have ":" in its name'
        return [invalid(at, name, detail)] if ":" in name else []
    found: list[FieldError] = []
    prefix = signer.replace("/", ":") + ":"
    if not name.startswith(prefix):
        detail = f"ClusterTrustBundle for signerName {signer} must be named with prefix {prefix}"
        found.append(invalid(at, name, detail))
    elif ":" in name.removeprefix(prefix):
        found += [invalid(at, name, text) for text in subdomain_name(name.removeprefix(prefix))]
    return found + signer_findings(signer, SPEC.child("signerName"))


def _anchor_findings(text: str, path: Path) -> list[FieldError]:
    """Nothing but certificates of authorities, each of them once."""
    if len(text.encode()) > BUNDLE_LIMIT_BYTES:
        return [too_long(path, BUNDLE_LIMIT_BYTES)]
    entries = list(pem_blocks.blocks(text))
    problems = [f"entry {place} {problem}" for place, entry in enumerate(entries) if (problem := _problem(entry))]
    if not problems and not entries:
        problems.append("at least one trust anchor must be provided")
    if not problems:
        places: dict[bytes, list[str]] = {}
        for place, entry in enumerate(entries):
            places.setdefault(entry.content, []).append(str(place))
        again = [" ".join(found) for found in places.values() if len(found) > 1]
        problems += [f"duplicate trust anchor (indices [{listed}])" for listed in again]
    return [invalid(path, "<value omitted>", problem) for problem in problems]


def _problem(entry: pem_blocks.Block) -> str:
    if entry.kind != pem_blocks.CERTIFICATE:
        return f"has bad block type: {entry.kind}"
    if entry.has_headers:
        return "has PEM block headers"
    certificate = pem_blocks.certificate_of(entry)
    if certificate is None:
        return "does not parse as X.509"
    return "" if pem_blocks.is_authority(certificate) else "does not have the CA bit set"


def validate_update(new: ClusterTrustBundle, old: ClusterTrustBundle) -> list[FieldError]:
    if new.spec.signerName == old.spec.signerName:
        return []
    return [invalid(SPEC.child("signerName"), new.spec.signerName or "", IMMUTABLE)]


STRATEGY: Strategy[ClusterTrustBundle] = Strategy(
    validate=validate,
    validate_changed=validate_changed,
    validate_update=validate_update,
    name_findings=bundle_name,
    columns=(
        cells.name_column(),
        cells.text("SignerName", lambda bundle: bundle.spec.signerName or cells.NONE),
        cells.age_column(),
    ),
    fields=lambda bundle: {"spec.signerName": bundle.spec.signerName or ""},
    has_generation=False,
    has_status=False,
)
