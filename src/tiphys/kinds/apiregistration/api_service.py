"""APIServices: which server answers for a group and version of the API."""

from __future__ import annotations

from tiphys.kinds import cells, unserved
from tiphys.kinds.object_meta import path_segment_name, subdomain_name
from tiphys.kinds.spec_and_status import clear_status, keep_spec_and_metadata, keep_status
from tiphys.kinds.strategy import Strategy
from tiphys.kinds.types.apiregistration_v1 import APIService, APIServiceSpec, ServiceReference
from tiphys.kinds.value_findings import port_number
from tiphys.machinery.field_errors import FieldError, Path, invalid, not_supported, required, shown
from tiphys.machinery.names import dns1035_label

SPEC, CONDITIONS = Path("spec"), Path("status.conditions")
CONDITION_STATUSES = ("True", "False", "Unknown")
GROUP_PRIORITY_LIMIT, VERSION_PRIORITY_LIMIT = 20000, 1000


def default(api_service: APIService) -> None:
    service = api_service.spec.service
    if service is not None and service.port is None:
        service.port = 443


def validate(api_service: APIService) -> list[FieldError]:
    spec, name = api_service.spec, api_service.metadata.name or ""
    group, version = spec.group or "", spec.version or ""
    wanted = f"{version}.{group}"
    found: list[FieldError] = []
    if name != wanted and not path_segment_name(name):
        detail = f'must be `spec.version+"."+spec.group`: {shown(wanted)}'
        found.append(invalid(Path("metadata.name"), name, detail))
    if not group and version != "v1":
        detail = "only v1 may have an empty group and it better be legacy kube"
        found.append(required(SPEC.child("group"), detail))
    found += [invalid(SPEC.child("group"), group, text) for text in (subdomain_name(group) if group else ())]
    found += [invalid(SPEC.child("version"), version, text) for text in dns1035_label(version)]
    for field, limit in (("groupPriorityMinimum", GROUP_PRIORITY_LIMIT), ("versionPriority", VERSION_PRIORITY_LIMIT)):
        value = getattr(spec, field)
        if not 0 < value <= limit:
            found.append(invalid(SPEC.child(field), value, f"must be positive and less than {limit}"))
    return found + (_local_findings(spec) if spec.service is None else _service_findings(spec, spec.service))


def _local_findings(spec: APIServiceSpec) -> list[FieldError]:
    found: list[FieldError] = []
    if spec.caBundle:
        size, detail = f"{len(spec.caBundle)} bytes", "local APIServices may not have a caBundle"
        found.append(invalid(SPEC.child("caBundle"), size, detail))
    if spec.insecureSkipTLSVerify:
        detail = "local APIServices may not have insecureSkipTLSVerify"
        found.append(invalid(SPEC.child("insecureSkipTLSVerify"), True, detail))
    return found


def _service_findings(spec: APIServiceSpec, service: ServiceReference) -> list[FieldError]:
    at = SPEC.child("service")
    found = [required(at.child(field)) for field in ("namespace", "name") if not getattr(service, field)]
    texts = port_number(service.port) if service.port is not None else []
    if texts:
        found.append(invalid(at.child("port"), service.port, f"port is not valid: {', '.join(texts)}"))
    if spec.insecureSkipTLSVerify and spec.caBundle:
        detail = "may not be true if caBundle is present"
        found.append(invalid(SPEC.child("insecureSkipTLSVerify"), True, detail))
    return found


def validate_status_update(new: APIService, _: APIService) -> list[FieldError]:
    return [
        not_supported(CONDITIONS.index(position).child("status"), condition.status, CONDITION_STATUSES)
        for position, condition in enumerate(new.status.conditions or ())
        if condition.status not in CONDITION_STATUSES
    ]


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
    validate_status_update=validate_status_update,
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
