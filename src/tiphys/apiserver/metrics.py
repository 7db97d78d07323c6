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


# A request's series: (verb, group, version, resource, subresource, scope, code)
SeriesKey = tuple[str, str, str, str, str, str, int]
_VERB_LABELS = {"create": "POST", "update": "PUT"}


class _Histogram:
    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS_SECONDS) + 1)
        self.total = 0.0


class _Series:
    """The requests with one outcome; `durations` is shared by all outcomes, and None for what takes as long as the
    client likes."""

    __slots__ = ("count", "durations")

    def __init__(self, durations: _Histogram | None) -> None:
        self.count = 0
        self.durations = durations


class Metrics:
    """`observe` is called once a request; everything else is read when somebody asks."""

    def __init__(self) -> None:
        self._series: dict[SeriesKey, _Series] = {}
        self._durations: dict[Labels, _Histogram] = {}
        self._gauges: list[Gauge] = []
        self._deprecated: set[tuple[str, ...]] = set()

    def add_gauge(self, name: str, text: str, samples: Callable[[], Iterable[tuple[dict[str, str], float]]]) -> None:
        self._gauges.append((name, text, samples))

    def observe(self, info: RequestInfo, code: int, seconds: float) -> None:
        scope = "resource" if info.name else "namespace" if info.namespace else "cluster" if info.is_resource else ""
        key = (info.verb, info.group, info.version, info.resource, info.subresource, scope, code)
        series = self._series.get(key) or self._new_series(key)
        if series is None:
            return
        series.count += 1
        durations = series.durations
        if durations is not None:
            durations.counts[bisect_left(BUCKETS_SECONDS, seconds)] += 1
            durations.total += seconds

    def _new_series(self, key: SeriesKey) -> _Series | None:
        """None when there are too many already."""
        if len(self._series) >= SERIES_LIMIT:
            return None
        durations = None
        if key[0] != "watch":
            durations = self._durations.setdefault(_labels_of(key), _Histogram())
        series = self._series[key] = _Series(durations)
        return series

    def requested_deprecated(self, resource: Resource, subresource: str) -> None:
        """Somebody still uses what is deprecated."""
        labels = (resource.group, resource.version, resource.plural, subresource, resource.removed_release)
        if len(self._deprecated) < SERIES_LIMIT:
            self._deprecated.add(labels)

    def text(self) -> bytes:
        lines = ["# HELP apiserver_request_total Counter of API requests by verb, resource and code.",
                 "# TYPE apiserver_request_total counter"]  # fmt: skip
        requests = [(_labels_of(key), key[-1], series.count) for key, series in self._series.items()]
        for labels, code, count in sorted(requests):
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


def _labels_of(key: SeriesKey) -> Labels:
    verb, group, version, resource, subresource, scope, _ = key
    return _VERB_LABELS.get(verb, verb.upper()), group, version, resource, subresource, scope


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
