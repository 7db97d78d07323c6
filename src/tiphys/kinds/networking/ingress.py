"""Ingresses: which hosts and paths of HTTP lead to which Services."""

from __future__ import annotations

import functools

from tiphys.kinds import cells
from tiphys.kinds.balancer_status import validate_balancer_ingress
from tiphys.kinds.networking.ingress_class import validate_reference
from tiphys.kinds.object_meta import label_name, subdomain_name
from tiphys.kinds.spec_and_status import clear_status, keep_spec, keep_status
from tiphys.kinds.strategy import Strategy
from tiphys.kinds.types.networking_v1 import HTTPIngressPath, Ingress, IngressBackend, IngressRule
from tiphys.kinds.value_findings import address_family, port_name, port_number
from tiphys.machinery import names
from tiphys.machinery.field_errors import FieldError, Path, invalid, not_supported, required, shown

SPEC = Path("spec")
PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")
CLASS_ANNOTATION = "kubernetes.io/ingress.class"
_NOT_IN_PATHS = ("//", "/./", "/../", "%2f", "%2F")
_NOT_AT_END = ("/..", "/.")

wildcard = functools.lru_cache(maxsize=1024)(names.wildcard_dns1123_subdomain)


def validate(ingress: Ingress) -> list[FieldError]:
    spec = ingress.spec
    found: list[FieldError] = []
    if not spec.rules and spec.defaultBackend is None:
        found.append(invalid(SPEC, spec.rules, "either `defaultBackend` or `rules` must be specified"))
    if spec.defaultBackend is not None:
        found += _backend_findings(spec.defaultBackend, SPEC.child("defaultBackend"))
    for position, rule in enumerate(spec.rules or ()):
        found += _rule_findings(rule, SPEC.child("rules").index(position))
    for position, tls in enumerate(spec.tls or ()):
        at = SPEC.child("tls").index(position)
        for place, host in enumerate(tls.hosts or ()):
            found += [invalid(at.child("hosts").index(place), host, text) for text in _host_messages(host)]
        if tls.secretName:
            found += [invalid(at.child("secretName"), tls.secretName, text) for text in subdomain_name(tls.secretName)]
    if spec.ingressClassName is not None:
        at = SPEC.child("ingressClassName")
        found += [invalid(at, spec.ingressClassName, text) for text in subdomain_name(spec.ingressClassName)]
        if CLASS_ANNOTATION in (ingress.metadata.annotations or {}) and not ingress.metadata.resourceVersion:
            at = Path("metadata.annotations").child(CLASS_ANNOTATION)
            value = (ingress.metadata.annotations or {})[CLASS_ANNOTATION]
            detail = "can not be set when the class field is also set"
            found.append(invalid(at, value, detail))
    return found


def _host_messages(host: str) -> list[str]:
    return wildcard(host) if "*" in host else subdomain_name(host)


def _rule_findings(rule: IngressRule, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    if rule.host:
        if address_family(rule.host):
            found.append(invalid(path.child("host"), rule.host, "must be a DNS name, not an IP address"))
        found += [invalid(path.child("host"), rule.host, text) for text in _host_messages(rule.host)]
    if rule.http is None:
        return found
    at = path.child("http", "paths")
    if not rule.http.paths:
        found.append(required(at))
    for position, entry in enumerate(rule.http.paths):
        found += _path_findings(entry, at.index(position))
    return found


def _path_findings(entry: HTTPIngressPath, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    text, at = entry.path or "", path.child("path")
    if not entry.pathType:
        return [required(path.child("pathType"), "pathType must be specified")]
    if entry.pathType in ("Exact", "Prefix"):
        if not text.startswith("/"):
            found.append(invalid(at, text, "must be an absolute path"))
        if text:
            found += [invalid(at, text, f"must not contain '{bad}'") for bad in _NOT_IN_PATHS if bad in text]
            found += [invalid(at, text, f"cannot end with '{bad}'") for bad in _NOT_AT_END if text.endswith(bad)]
    elif entry.pathType == "ImplementationSpecific":
        if text and not text.startswith("/"):
            found.append(invalid(at, text, "must be an absolute path"))
    else:
        found.append(not_supported(path.child("pathType"), entry.pathType, PATH_TYPES))
    return found + _backend_findings(entry.backend, path.child("backend"))


def _backend_findings(backend: IngressBackend, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    service, resource = backend.service, backend.resource
    if service is not None and resource is not None:
        return [invalid(path, "", "cannot set both resource and service backends")]
    if resource is not None:
        return validate_reference(resource, path.child("resource"))
    if service is None:
        return [invalid(path, "", "resource or service backend is required")]
    if not service.name:
        found.append(required(path.child("service", "name")))
    else:
        found += [invalid(path.child("service", "name"), service.name, text) for text in label_name(service.name)]
    port, at = service.port, path.child("service", "port")
    if port is not None and port.name and port.number:
        found.append(invalid(path, "", "cannot set both port name & port number"))
    elif port is not None and port.name:
        found += [invalid(at.child("name"), port.name, text) for text in port_name(port.name)]
    elif port is not None and port.number:
        found += [invalid(at.child("number"), port.number, text) for text in port_number(port.number)]
    else:
        found.append(required(path, "port name or number is required"))
    return found


def validate_status_update(new: Ingress, old: Ingress) -> list[FieldError]:
    balancer = new.status.loadBalancer
    return validate_balancer_ingress(balancer.ingress if balancer else None, Path("status.loadBalancer.ingress"))


def warnings(ingress: Ingress, old: Ingress | None) -> list[str]:
    if old is None and CLASS_ANNOTATION in (ingress.metadata.annotations or {}):
        return [f"annotation {shown(CLASS_ANNOTATION)} is deprecated, please use 'spec.ingressClassName' instead"]
    return []


def _class_name(ingress: Ingress) -> str:
    if ingress.spec.ingressClassName:
        return ingress.spec.ingressClassName
    return (ingress.metadata.annotations or {}).get(CLASS_ANNOTATION) or cells.NONE


def _hosts(ingress: Ingress) -> str:
    hosts = [rule.host for rule in ingress.spec.rules or () if rule.host]
    more = f" + {len(hosts) - 3} more..." if len(hosts) > 3 else ""
    return ",".join(hosts[:3]) + more or "*"


def _addresses(ingress: Ingress) -> str:
    entries = (ingress.status.loadBalancer.ingress if ingress.status.loadBalancer else None) or ()
    return ",".join(entry.ip or entry.hostname or "" for entry in entries)


STRATEGY: Strategy[Ingress] = Strategy(
    warnings=warnings,
    prepare_for_create=clear_status,
    prepare_for_update=keep_status,
    prepare_for_status_update=keep_spec,
    validate=validate,
    validate_status_update=validate_status_update,
    columns=(
        cells.name_column(),
        cells.text("Class", _class_name),
        cells.text("Hosts", _hosts),
        cells.text("Address", _addresses),
        cells.text("Ports", lambda ingress: "80, 443" if ingress.spec.tls else "80"),
        cells.age_column(),
    ),
)
