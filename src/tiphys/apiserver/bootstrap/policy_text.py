"""A short way to write policy rules down.

One rule a line: `verbs groups resources [=names]`, words joined by commas; the core group is `core`. `READ`, `WRITE`
and `ALL` stand for the usual sets of verbs. `verbs urls /path,...` is a rule on paths. Example:

    READ core pods,pods/log
    get,update coordination.k8s.io leases =kube-scheduler
    get urls /healthz,/livez
"""

from __future__ import annotations

from tiphys.kinds.types.rbac_v1 import PolicyRule

READ = ("get", "list", "watch")
WRITE = ("create", "delete", "deletecollection", "patch", "update")
_SETS = {"READ": READ, "WRITE": WRITE, "ALL": READ + WRITE}


def rules(text: str) -> list[PolicyRule]:
    """The rules of a text, in its order; words within a rule are sorted. ValueError for a line that is not a rule."""
    return [_rule(line.split()) for line in text.strip().splitlines() if line.strip()]


def _rule(words: list[str]) -> PolicyRule:
    if len(words) < 3 or len(words) > 4:
        raise ValueError(f"not a rule: {' '.join(words)}")
    verbs = sorted({verb for word in words[0].split(",") for verb in _SETS.get(word, (word,))})
    if words[1] == "urls":
        return PolicyRule(verbs=verbs, nonResourceURLs=sorted(words[2].split(",")))
    groups = sorted("" if group == "core" else group for group in words[1].split(","))
    names = sorted(words[3].removeprefix("=").split(",")) if len(words) == 4 else None
    return PolicyRule(verbs=verbs, apiGroups=groups, resources=sorted(words[2].split(",")), resourceNames=names)
