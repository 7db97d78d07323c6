"""Counters of the API server and their text form (Prometheus exposition format 0.0.4)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence

from tiphys.apiserver.request import RequestInfo
from tiphys.kinds.resource import Resource

BUCKETS_SECONDS = (
    0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0,
    45.0, 60.0,
)  # fmt: skip
# (name, help, samples): a gauge read at the moment of the scrape
Gauge = tuple[str, str, Callable[[], Iterable[tuple[dict[str, str], float]]]]
# Paths are the clients' to choose: what they make must not grow without bound.
SERIES_LIMIT = 10_000
REQUEST_LABELS = ("verb", "group", "version", "resource", "subresource", "scope")
DEPRECATED_LABELS = ("group", "version", "resource", "subresource", "removed_release")

Labels = tuple[str, str, str, str, str, str]


class _Histogram:
    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS_SECONDS) + 1)
        self.total = 0.0


class Metrics:
    """`observe` is called once a request; everything else is read when somebody asks."""

    def __init__(self) -> None:
        self._requests: dict[tuple[Labels, int], int] = {}
        self._durations: dict[Labels, _Histogram] = {}
        self._gauges: list[Gauge] = []
        self._deprecated: set[tuple[str, ...]] = set()

    def add_gauge(self, name: str, text: str, samples: Callable[[], Iterable[tuple[dict[str, str], float]]]) -> None:
        self._gauges.append((name, text, samples))

    def observe(self, info: RequestInfo, code: int, seconds: float) -> None:
        scope = "resource" if info.name else "namespace" if info.namespace else "cluster"
        verb = info.verb.upper()
        if verb == "CREATE":
            verb = "POST"
        elif verb == "UPDATE":
            verb = "PUT"
        labels = (verb, info.group, info.version, info.resource, info.subresource, scope if info.is_resource else "")
        key = (labels, code)
        if key not in self._requests and len(self._requests) >= SERIES_LIMIT:
            return
        self._requests[key] = self._requests.get(key, 0) + 1
        if verb == "WATCH":
            return
        histogram = self._durations.get(labels)
        if histogram is None:
            histogram = self._durations[labels] = _Histogram()
        histogram.counts[bisect_left(BUCKETS_SECONDS, seconds)] += 1
        histogram.total += seconds

    def requested_deprecated(self, resource: Resource, subresource: str) -> None:
        """Somebody still uses what is deprecated."""
        labels = (resource.group, resource.version, resource.plural, subresource, resource.removed_release)
        if len(self._deprecated) < SERIES_LIMIT:
            self._deprecated.add(labels)

    def text(self) -> bytes:
        lines = ["# HELP apiserver_request_total Counter of API requests by verb, resource and code.",
                 "# TYPE apiserver_request_total counter"]  # fmt: skip
        for (labels, code), count in sorted(self._requests.items()):
            lines.append(f'apiserver_request_total{{{_request_labels(labels)},code="{code}"}} {count}')
        lines += ["# HELP apiserver_request_duration_seconds Response latency in seconds by verb and resource.",
                  "# TYPE apiserver_request_duration_seconds histogram"]  # fmt: skip
        for labels, histogram in sorted(self._durations.items(), key=lambda item: item[0]):
            lines += _histogram_lines("apiserver_request_duration_seconds", _request_labels(labels), histogram)
        if self._deprecated:
            lines += ["# HELP apiserver_requested_deprecated_apis Deprecated APIs that have been requested.",
                      "# TYPE apiserver_requested_deprecated_apis gauge"]  # fmt: skip
        for found in sorted(self._deprecated):
            lines.append(f"apiserver_requested_deprecated_apis{{{_labels(DEPRECATED_LABELS, found)}}} 1")
        for name, text, samples in self._gauges:
            lines += [f"# HELP {name} {text}", f"# TYPE {name} gauge"]
            for values, number in samples():
                joined = ",".join(f'{key}="{_escaped(value)}"' for key, value in values.items())
                lines.append(f"{name}{{{joined}}} {number:g}" if joined else f"{name} {number:g}")
        return ("\n".join(lines) + "\n").encode()


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _labels(names: Sequence[str], values: Sequence[str]) -> str:
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in zip(names, values, strict=True))


def _request_labels(labels: Labels) -> str:
    return _labels(REQUEST_LABELS, labels)


def _histogram_lines(name: str, labels: str, histogram: _Histogram) -> Sequence[str]:
    lines, running = [], 0
    for limit, count in zip((*BUCKETS_SECONDS, "+Inf"), histogram.counts, strict=True):
        running += count
        lines.append(f'{name}_bucket{{{labels},le="{limit}"}} {running}')
    return [*lines, f"{name}_sum{{{labels}}} {histogram.total:.9g}", f"{name}_count{{{labels}}} {running}"]
