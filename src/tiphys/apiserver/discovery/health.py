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
            reason = check()
            if reason:
                return HealthAnswer(500, f"internal server error: {reason}\n", ((name, reason),))
            return HealthAnswer(200, "ok")
        return _all_of(endpoint, checks, exclude, verbose)


def _all_of(endpoint: str, checks: Mapping[str, Check], exclude: Sequence[str], verbose: bool) -> HealthAnswer:
    lines, failures = [], []
    for name, check in checks.items():
        if name in exclude:
            lines.append(f"[+]{name} excluded: ok")
            continue
        reason = check()
        if reason:
            failures.append((name, reason))
            lines.append(f"[-]{name} failed: reason withheld")
        else:
            lines.append(f"[+]{name} ok")
    unknown = sorted(set(exclude) - set(checks))
    if unknown:
        words = ",".join(f'"{name}"' for name in unknown)
        lines.append(f"warn: some health checks cannot be excluded: no matches for {words}")
    if failures:
        return HealthAnswer(500, "\n".join([*lines, f"{endpoint} check failed", ""]), tuple(failures))
    if not verbose:
        return HealthAnswer(200, "ok")
    return HealthAnswer(200, "\n".join([*lines, f"{endpoint} check passed", ""]))
