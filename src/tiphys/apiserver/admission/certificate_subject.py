"""Nobody becomes a member of system:masters by a signing request for clients of the API server."""

from __future__ import annotations

from typing import Any

from tiphys.apiserver.admission.interface import AdmissionRequest, Lookups, Resources
from tiphys.machinery import errors
from tiphys.pki.requests import parse_request, requested_names

SIGNER = "kubernetes.io/kube-apiserver-client"
MASTERS = "system:masters"


class CertificateSubjectRestriction:
    name = "CertificateSubjectRestriction"
    resources: Resources = (("certificates.k8s.io", "certificatesigningrequests"),)

    def admit(self, request: AdmissionRequest, obj: Any, old: Any, lookups: Lookups) -> None:
        if request.operation != "CREATE" or not request.on("certificates.k8s.io", "certificatesigningrequests"):
            return
        if obj.spec.signerName != SIGNER:
            return
        try:
            names = requested_names(parse_request(obj.spec.request))
        except ValueError:
            return  # what is no request at all, validation refuses
        if MASTERS in names.organizations:
            detail = f"use of {SIGNER} signer with {MASTERS} group is not allowed"
            raise errors.forbidden(request.resource.plural, request.resource.group, obj.metadata.name or "", detail)
