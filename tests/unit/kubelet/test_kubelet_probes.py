from __future__ import annotations

import pytest

from tiphys.kinds.types import core_v1
from tiphys.kubelet import probes
from tiphys.kubelet.probes import Outcome, ProbeKind, ProbeResult, ProbeState

PROBE = core_v1.Probe(periodSeconds=5, successThreshold=2, failureThreshold=3, initialDelaySeconds=10)


def verdicts(kind: ProbeKind, outcomes: str) -> list[bool]:
    """The verdict after each of a row of results: s(uccess), f(ailure), u(nknown)."""
    words = {"s": Outcome.SUCCESS, "f": Outcome.FAILURE, "u": Outcome.UNKNOWN}
    state, found = probes.begin(PROBE, kind, 100.0, 100.0), []
    for letter in outcomes:
        state = probes.advance(state, PROBE, ProbeResult(outcome=words[letter]), state.due)
        found.append(state.verdict)
    return found


def test_readiness_begins_false_and_needs_its_thresholds() -> None:
    assert verdicts(ProbeKind.READINESS, "sfssffsfff") == [
        False,
        False,
        False,
        True,
        True,
        True,
        True,
        True,
        True,
        False,
    ]


def test_liveness_begins_true() -> None:
    assert verdicts(ProbeKind.LIVENESS, "ffsfff") == [True, True, True, True, True, False]


def test_an_unknown_result_counts_for_nothing() -> None:
    assert verdicts(ProbeKind.LIVENESS, "ffuf") == [True, True, True, False]


def test_the_first_probe_comes_after_the_initial_delay_and_then_every_period() -> None:
    state = probes.begin(PROBE, ProbeKind.READINESS, started_at=100.0, now=100.5)
    assert state == ProbeState(verdict=False, due=110.0)
    state = probes.advance(state, PROBE, ProbeResult(outcome=Outcome.SUCCESS), now=110.2)
    assert state.due == 115.0
    late = probes.advance(state, PROBE, ProbeResult(outcome=Outcome.SUCCESS), now=123.0)
    assert late.due == 123.0


def test_an_adopted_container_is_probed_at_a_moment_of_its_own() -> None:
    assert probes.begin(PROBE, ProbeKind.LIVENESS, started_at=0.0, now=1000.0, jitter=0.5).due == 1002.5


def test_exhausted_after_as_many_failures_as_allowed() -> None:
    state = probes.begin(PROBE, ProbeKind.STARTUP, 0.0, 0.0)
    for expected in (False, False, True):
        state = probes.advance(state, PROBE, ProbeResult(outcome=Outcome.FAILURE), state.due)
        assert probes.exhausted(state, PROBE) is expected


CONTAINER = core_v1.Container(name="c", ports=[core_v1.ContainerPort(name="http", containerPort=8080)])


def test_ports_by_name_and_number() -> None:
    assert probes.resolve_port(80, CONTAINER) == 80
    assert probes.resolve_port("http", CONTAINER) == 8080
    with pytest.raises(ValueError, match="couldn't find port: 'grpc'"):
        probes.resolve_port("grpc", CONTAINER)
    with pytest.raises(ValueError, match="invalid port number: 70000"):
        probes.resolve_port(70000, CONTAINER)


def test_urls_and_headers() -> None:
    action = core_v1.HTTPGetAction(path="/healthz?full=1", port="http", scheme="HTTPS")
    assert probes.http_url(action, CONTAINER, "10.0.0.5") == "https://10.0.0.5:8080/healthz?full=1"
    assert probes.http_url(core_v1.HTTPGetAction(port=80), CONTAINER, "fd00::5") == "http://[fd00::5]:80/"
    named = core_v1.HTTPGetAction(port=80, httpHeaders=[core_v1.HTTPHeader(name="user-agent", value="mine")])
    assert probes.http_headers(named) == [("user-agent", "mine"), ("Accept", "*/*")]
