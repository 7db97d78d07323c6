"""/healthz, /livez and /readyz: named checks, one by one or all together.

A check is a function without arguments that gives "" when all is well, else what is wrong. The answer to everybody
says only which check failed; the reason is in the server's log. Specified in "Kubernetes API health endpoints".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Check = Callable[[], str]


@dataclass(frozen=True, slots=True)
class HealthAnswer:
    """Plain text with its HTTP status. `failures` is for the log: (check, reason)."""

    code: int
    text: str
    failures: tuple[tuple[str, str], ...] = ()


class HealthChecks:
    """`endpoints` gives for each of `healthz`, `livez` and `readyz` its checks in order."""

    def __init__(self, endpoints: Mapping[str, Mapping[str, Check]]) -> None:
        self._endpoints = {name: dict(checks) for name, checks in endpoints.items()}
        # (check, endpoint): what the last run came to, and how many came to what.
        self._last: dict[tuple[str, str], bool] = {}
        self._counts: dict[tuple[str, str, bool], int] = {}

    def paths(self) -> list[str]:
        """Every path that is answered, sorted."""
        found = []
        for endpoint, checks in self._endpoints.items():
            found += [f"/{endpoint}", *(f"/{endpoint}/{name}" for name in checks)]
        return sorted(found)

    def answer(self, path: str, exclude: Sequence[str] = (), verbose: bool = False) -> HealthAnswer | None:
        """The answer at a path, leaving out some checks by name; None when there is nothing at it."""
        endpoint, _, name = path.removeprefix("/").partition("/")
        checks = self._endpoints.get(endpoint)
        if checks is None:
            return None
        if name or path.endswith("/"):
            check = checks.get(name)
            if check is None:
                return None
            reason = self._run(endpoint, name, check)
            if reason:
                return HealthAnswer(500, f"internal server error: {reason}\n", ((name, reason),))
            return HealthAnswer(200, "ok")
        reasons = {name: self._run(endpoint, name, check) for name, check in checks.items() if name not in exclude}
        return _all_of(endpoint, list(checks), reasons, exclude, verbose)

    def _run(self, endpoint: str, name: str, check: Check) -> str:
        reason = check()
        self._last[name, endpoint] = not reason
        key = (name, endpoint, not reason)
        self._counts[key] = self._counts.get(key, 0) + 1
        return reason

    def indicators(self) -> bytes:
        """How the checks that were asked for went, in the text form of metrics. Specified in "Kubernetes Component SLI
        Metrics"."""
        lines = ["# HELP kubernetes_healthcheck The result of the last run of a check: 1 when all was well, else 0.",
                 "# TYPE kubernetes_healthcheck gauge"]  # fmt: skip
        for (name, endpoint), is_well in sorted(self._last.items()):
            lines.append(f'kubernetes_healthcheck{{name="{name}",type="{endpoint}"}} {int(is_well)}')
        lines += ["# HELP kubernetes_healthchecks_total How many runs of a check came to this.",
                  "# TYPE kubernetes_healthchecks_total counter"]  # fmt: skip
        for (name, endpoint, is_well), count in sorted(self._counts.items()):
            status = "success" if is_well else "error"
            lines.append(f'kubernetes_healthchecks_total{{name="{name}",status="{status}",type="{endpoint}"}} {count}')
        return ("\n".join(lines) + "\n").encode()


def _all_of(
    endpoint: str, names: Sequence[str], reasons: Mapping[str, str], exclude: Sequence[str], verbose: bool
) -> HealthAnswer:
    lines, failures = [], []
    for name in names:
        if name not in reasons:
            lines.append(f"[+]{name} excluded: ok")
            continue
        reason = reasons[name]
        if reason:
            failures.append((name, reason))
            lines.append(f"[-]{name} failed: reason withheld")
        else:
            lines.append(f"[+]{name} ok")
    unknown = sorted(set(exclude) - set(names))
    if unknown:
        words = ",".join(f'"{name}"' for name in unknown)
        lines.append(f"warn: some health checks cannot be excluded: no matches for {words}")
    if failures:
        return HealthAnswer(500, "\n".join([*lines, f"{endpoint} check failed", ""]), tuple(failures))
    if not verbose:
        return HealthAnswer(200, "ok")
    return HealthAnswer(200, "\n".join([*lines, f"{endpoint} check passed", ""]))
