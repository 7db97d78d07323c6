"""ClusterTrustBundles: root certificates for everybody in the cluster, perhaps those of one signer."""

from __future__ import annotations

import re

from tiphys.kinds import cells
from tiphys.kinds.certificates.certificate_signing_request import signer_findings
from tiphys.kinds.object_meta import IMMUTABLE, subdomain_name
from tiphys.kinds.strategy import Strategy
from tiphys.kinds.types.certificates_v1 import ClusterTrustBundle
from tiphys.machinery.field_errors import FieldError, Path, invalid, too_long

SPEC = Path("spec")
BUNDLE_LIMIT_BYTES = 1024 * 1024
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----")


def bundle_name(name: str, prefix: bool = False) -> list[str]:
    """A subdomain, after the signer's name with colons when the bundle is a signer's."""
    return subdomain_name(name.rpartition(":")[2], prefix)


def validate(bundle: ClusterTrustBundle) -> list[FieldError]:
    found: list[FieldError] = []
    name, signer = bundle.metadata.name or "", bundle.spec.signerName or ""
    if signer:
        prefix = signer.replace("/", ":") + ":"
        if not name.startswith(prefix):
            detail = f"ClusterTrustBundle for signerName {signer} must be named with prefix {prefix}"
            found.append(invalid(Path("metadata.name"), name, detail))
        found += signer_findings(signer, SPEC.child("signerName"))
    elif ":" in name:
        detail = 'ClusterTrustBundle without signer name must not have ":" in its name'
        found.append(invalid(Path("metadata.name"), name, detail))
    text, path = bundle.spec.trustBundle, SPEC.child("trustBundle")
    if len(text) > BUNDLE_LIMIT_BYTES:
        found.append(too_long(path, BUNDLE_LIMIT_BYTES))
    if not _CERTIFICATE.search(text):
        found.append(invalid(path, "<value omitted>", "at least one trust anchor must be provided"))
    return found


def validate_update(new: ClusterTrustBundle, old: ClusterTrustBundle) -> list[FieldError]:
    if new.spec.signerName == old.spec.signerName:
        return []
    return [invalid(SPEC.child("signerName"), new.spec.signerName or "", IMMUTABLE)]


STRATEGY: Strategy[ClusterTrustBundle] = Strategy(
    validate=validate,
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
