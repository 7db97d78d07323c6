"""Whether probes and lifecycle handlers are well formed: one way of asking, with a sensible port, path and timing."""

from __future__ import annotations

from tiphys.kinds.core.stop_signals import LINUX, WINDOWS
from tiphys.kinds.types.core_v1 import (
    ExecAction,
    GRPCAction,
    HTTPGetAction,
    Lifecycle,
    LifecycleHandler,
    Probe,
    SleepAction,
    TCPSocketAction,
)
from tiphys.kinds.value_findings import NOT_NEGATIVE, port_number, port_number_or_name
from tiphys.machinery.field_errors import FieldError, Path, forbidden, invalid, not_supported, required
from tiphys.machinery.names import http_header_name

Action = ExecAction | HTTPGetAction | TCPSocketAction | GRPCAction | SleepAction
HTTP_PROTOCOLS = ("HTTP1", "HTTP2")
GRPC_MODES = ("Plaintext", "TLS")
_TIMINGS = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")


def validate_probe(probe: Probe, path: Path, role: str) -> list[FieldError]:
    """`role` is liveness, readiness or startup."""
    found = validate_handler(probe, path, None)
    for name in _TIMINGS:
        value = getattr(probe, name)
        if value is not None and value < 0:
            found.append(invalid(path.child(name), value, NOT_NEGATIVE))
    grace = probe.terminationGracePeriodSeconds
    if grace is not None and grace <= 0:
        found.append(invalid(path.child("terminationGracePeriodSeconds"), grace, "must be greater than 0"))
    if role == "readiness":
        if grace is not None:
            detail = "must not be set for readinessProbes"
            found.append(invalid(path.child("terminationGracePeriodSeconds"), grace, detail))
    elif probe.successThreshold != 1:
        found.append(invalid(path.child("successThreshold"), probe.successThreshold or 0, "must be 1"))
    return found


def validate_lifecycle(lifecycle: Lifecycle, path: Path, grace_seconds: int | None, system: str) -> list[FieldError]:
    """`system` is the pod's spec.os.name, "" when it has none."""
    found: list[FieldError] = []
    if lifecycle.postStart is not None:
        found += validate_handler(lifecycle.postStart, path.child("postStart"), grace_seconds)
    if lifecycle.preStop is not None:
        found += validate_handler(lifecycle.preStop, path.child("preStop"), grace_seconds)
    if lifecycle.stopSignal is not None:
        found += _stop_signal_findings(lifecycle.stopSignal, path.child("stopSignal"), system)
    return found


def _stop_signal_findings(signal: str, path: Path, system: str) -> list[FieldError]:
    if not system:
        return [forbidden(path, "may not be set for containers with empty `spec.os.name`")]
    known = WINDOWS if system == "windows" else LINUX
    return [] if signal in known else [not_supported(path, signal, sorted(known))]


def validate_handler(handler: LifecycleHandler | Probe, path: Path, grace_seconds: int | None) -> list[FieldError]:
    """Exactly one action, itself well formed."""
    found: list[FieldError] = []
    count = 0
    for name in ("exec", "httpGet", "tcpSocket", "grpc", "sleep"):
        action = getattr(handler, name, None)
        if action is None:
            continue
        if count:
            found.append(forbidden(path.child(name), "may not specify more than 1 handler type"))
            continue
        count += 1
        found += _action_findings(action, path, name, grace_seconds)
    if not count:
        found.append(required(path, "must specify a handler type"))
    return found


def _action_findings(action: Action, path: Path, name: str, grace_seconds: int | None) -> list[FieldError]:
    if isinstance(action, ExecAction):
        return [] if action.command else [required(path.child(name, "command"))]
    if isinstance(action, HTTPGetAction):
        return _http_findings(action, path.child(name))
    if isinstance(action, TCPSocketAction):
        texts = port_number_or_name(action.port)
    elif isinstance(action, GRPCAction):
        if action.mode is not None and action.mode not in GRPC_MODES:
            return [not_supported(path.child(name, "mode"), action.mode, GRPC_MODES)]
        texts = port_number(action.port)
    else:
        return _sleep_findings(action, path.child(name), grace_seconds)
    return [invalid(path.child(name, "port"), action.port, text) for text in texts]


def _sleep_findings(action: SleepAction, path: Path, grace_seconds: int | None) -> list[FieldError]:
    if grace_seconds is None or 0 <= action.seconds <= grace_seconds:
        return []
    detail = f"must be non-negative and less than terminationGracePeriodSeconds ({grace_seconds})"
    return [invalid(path, action.seconds, detail)]


def _http_findings(action: HTTPGetAction, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    if not action.path:
        found.append(required(path.child("path")))
    found += [invalid(path.child("port"), action.port, text) for text in port_number_or_name(action.port)]
    if action.scheme not in ("HTTP", "HTTPS"):
        found.append(not_supported(path.child("scheme"), action.scheme or "", ("HTTP", "HTTPS")))
    if action.protocol is not None and action.protocol not in HTTP_PROTOCOLS:
        found.append(not_supported(path.child("protocol"), action.protocol, HTTP_PROTOCOLS))
    if action.protocol == "HTTP2" and action.scheme == "HTTPS":
        found.append(invalid(path.child("protocol"), action.protocol, "may only be used when `scheme` is 'HTTP'"))
    if action.protocol == "HTTP2" and action.host:
        found.append(forbidden(path.child("host"), "may not be set when `protocol` is 'HTTP2'"))
    for header in action.httpHeaders or ():
        found += [invalid(path.child("httpHeaders"), header.name, text) for text in http_header_name(header.name)]
    return found
