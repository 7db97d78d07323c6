"""When a container is probed and what the results mean: thresholds, delays, verdicts. Pure; `io/prober.py` does the
probing.

One `ProbeState` a container and probe kind. Verdicts: a startup or readiness probe begins as False, a liveness probe
as True; a verdict changes when as many results in a row as its threshold say so. Specified in "Liveness, Readiness
and Startup Probes".
"""

from __future__ import annotations

import dataclasses
import enum
from dataclasses import dataclass

from tiphys.kinds.types import core_v1
from tiphys.machinery.digits import is_number

DEFAULT_PERIOD_SECONDS = 10
DEFAULT_TIMEOUT_SECONDS = 1
DEFAULT_SUCCESS_THRESHOLD = 1
DEFAULT_FAILURE_THRESHOLD = 3


class ProbeKind(enum.Enum):
    """The values are the words that events use."""

    STARTUP = "Startup"
    READINESS = "Readiness"
    LIVENESS = "Liveness"


class Outcome(enum.Enum):
    SUCCESS = "success"
    FAILURE = "failure"
    UNKNOWN = "unknown"  # the probe itself could not be carried out: counts for nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """`message` is what an Unhealthy event says after `<kind> probe failed: `."""

    outcome: Outcome
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeState:
    """`verdict` is what holds now; `row` results in a row were `last`; `due` is the moment of the next probe (seconds
    since the epoch)."""

    verdict: bool
    due: float
    last: Outcome | None = None
    row: int = 0


def probe_of(container: core_v1.Container, kind: ProbeKind) -> core_v1.Probe | None:
    return {
        ProbeKind.STARTUP: container.startupProbe,
        ProbeKind.READINESS: container.readinessProbe,
        ProbeKind.LIVENESS: container.livenessProbe,
    }[kind]


def begin(probe: core_v1.Probe, kind: ProbeKind, started_at: float, now: float, jitter: float = 0.0) -> ProbeState:
    """The state when probing starts. The first probe comes after the initial delay, counted from the container's start;
    an adopted container (an older start) is first probed after `jitter` periods, so that not all are probed at once."""
    due = started_at + (probe.initialDelaySeconds or 0)
    if due < now:
        due = now + jitter * period_seconds(probe) if started_at < now - period_seconds(probe) else now
    return ProbeState(verdict=kind is ProbeKind.LIVENESS, due=due)


def period_seconds(probe: core_v1.Probe) -> int:
    return probe.periodSeconds or DEFAULT_PERIOD_SECONDS


def timeout_seconds(probe: core_v1.Probe) -> int:
    return probe.timeoutSeconds or DEFAULT_TIMEOUT_SECONDS


def advance(state: ProbeState, probe: core_v1.Probe, result: ProbeResult, now: float) -> ProbeState:
    """The state after a result that came at `now`."""
    due = max(state.due + period_seconds(probe), now)
    if result.outcome is Outcome.UNKNOWN:
        return dataclasses.replace(state, due=due)
    row = state.row + 1 if result.outcome is state.last else 1
    verdict = state.verdict
    if result.outcome is Outcome.SUCCESS and row >= (probe.successThreshold or DEFAULT_SUCCESS_THRESHOLD):
        verdict = True
    elif result.outcome is Outcome.FAILURE and row >= (probe.failureThreshold or DEFAULT_FAILURE_THRESHOLD):
        verdict = False
    return ProbeState(verdict=verdict, due=due, last=result.outcome, row=row)


def exhausted(state: ProbeState, probe: core_v1.Probe) -> bool:
    """A startup or liveness probe has failed as often as it may: the container is to be restarted."""
    threshold = probe.failureThreshold or DEFAULT_FAILURE_THRESHOLD
    return not state.verdict and state.last is Outcome.FAILURE and state.row >= threshold


def resolve_port(port: int | str, container: core_v1.Container) -> int:
    """A port number, or the number behind a port's name. ValueError with the reason."""
    if isinstance(port, int):
        number = port
    elif is_number(port):
        number = int(port)
    else:
        named = [each.containerPort for each in container.ports or () if each.name == port]
        if not named:
            raise ValueError(f"couldn't find port: {port!r}")
        number = named[0]
    if not 0 < number < 65536:
        raise ValueError(f"invalid port number: {number}")
    return number


def http_url(action: core_v1.HTTPGetAction, container: core_v1.Container, pod_address: str) -> str:
    """The URL of an httpGet action. ValueError with the reason."""
    scheme = (action.scheme or "HTTP").lower()
    host = action.host or pod_address
    if ":" in host and not host.startswith("["):
        host = f"[{host}]"
    path = action.path or "/"
    return f"{scheme}://{host}:{resolve_port(action.port, container)}/{path.removeprefix('/')}"


def http_headers(action: core_v1.HTTPGetAction) -> list[tuple[str, str]]:
    """The request's headers; a probe says who it is unless it was told otherwise."""
    given = [(header.name, header.value) for header in action.httpHeaders or ()]
    names = {name.lower() for name, _ in given}
    defaults = [("User-Agent", "kube-probe/1.37"), ("Accept", "*/*")]
    return given + [(name, value) for name, value in defaults if name.lower() not in names]
