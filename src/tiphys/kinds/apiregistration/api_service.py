"""APIServices: which server answers for a group and version of the API."""

from __future__ import annotations

from tiphys.kinds import cells, unserved
from tiphys.kinds.object_meta import path_segment_name, subdomain_name
from tiphys.kinds.spec_and_status import clear_status, keep_spec_and_metadata, keep_status
from tiphys.kinds.strategy import Strategy
from tiphys.kinds.types.apiregistration_v1 import APIService
from tiphys.kinds.value_findings import port_number
from tiphys.machinery.field_errors import FieldError, Path, invalid, required
from tiphys.machinery.names import dns1035_label

SPEC = Path("spec")
GROUP_PRIORITY_LIMIT, VERSION_PRIORITY_LIMIT = 20000, 1000


def default(api_service: APIService) -> None:
    service = api_service.spec.service
    if service is not None and service.port is None:
        service.port = 443


def validate(api_service: APIService) -> list[FieldError]:
    spec = api_service.spec
    found: list[FieldError] = []
    wanted = f"{spec.version or ''}.{spec.group or ''}"
    if api_service.metadata.name != wanted:
        detail = 'must be `spec.version+"."+spec.group`'
        found.append(invalid(Path("metadata.name"), wanted, f'{detail}: "{wanted}"'))
    if spec.group:
        found += [invalid(SPEC.child("group"), spec.group, text) for text in subdomain_name(spec.group)]
    if not spec.version:
        found.append(required(SPEC.child("version")))
    else:
        found += [invalid(SPEC.child("version"), spec.version, text) for text in dns1035_label(spec.version)]
    for field, limit in (("groupPriorityMinimum", GROUP_PRIORITY_LIMIT), ("versionPriority", VERSION_PRIORITY_LIMIT)):
        value = getattr(spec, field)
        if not 0 < value <= limit:
            found.append(invalid(SPEC.child(field), value, f"must be positive and less than {limit}"))
    service, at = spec.service, SPEC.child("service")
    if service is None:
        if spec.caBundle:
            found.append(
                invalid(
                    SPEC.child("caBundle"), f"{len(spec.caBundle)} bytes", "local APIServices may not have a caBundle"
                )
            )
        if spec.insecureSkipTLSVerify:
            detail = "local APIServices may not have insecureSkipTLSVerify"
            found.append(invalid(SPEC.child("insecureSkipTLSVerify"), True, detail))
        return found
    if not service.namespace:
        found.append(required(at.child("namespace")))
    if not service.name:
        found.append(required(at.child("name")))
    if service.port is not None:
        for text in port_number(service.port):
            found.append(invalid(at.child("port"), service.port, f"port is not valid: {text}"))
    if spec.insecureSkipTLSVerify and spec.caBundle:
        detail = "may not be true if caBundle is present"
        found.append(invalid(SPEC.child("insecureSkipTLSVerify"), True, detail))
    return found


def _service(api_service: APIService) -> str:
    service = api_service.spec.service
    return f"{service.namespace or ''}/{service.name or ''}" if service is not None else "Local"


def _available(api_service: APIService) -> str:
    found = next((c for c in api_service.status.conditions or () if c.type == "Available"), None)
    if found is None:
        return "Unknown"
    return found.status if found.status == "True" else f"{found.status} ({found.reason or ''})"


STRATEGY: Strategy[APIService] = Strategy(
    warnings=unserved.warned(unserved.AGGREGATION),
    default=default,
    prepare_for_create=clear_status,
    prepare_for_update=keep_status,
    prepare_for_status_update=keep_spec_and_metadata,
    validate=validate,
    name_findings=path_segment_name,
    columns=(
        cells.name_column(),
        cells.text("Service", _service),
        cells.text("Available", _available),
        cells.age_column(),
    ),
    has_generation=False,
    qualified_finalizers=False,
)
