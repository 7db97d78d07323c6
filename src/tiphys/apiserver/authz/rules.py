"""What a policy rule means: which requests it matches, and whether some rules cover others.

This is the plain reading of the rules, one at a time. `rbac.py` answers requests from lookups made of them.
Specified in "Using RBAC Authorization".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tiphys.kinds.types.rbac_v1 import PolicyRule

ALL = "*"


def matches_resource_name(rule: PolicyRule, name: str) -> bool:
    return not rule.resourceNames or name in rule.resourceNames


def matches_resource(rule: PolicyRule, verb: str, group: str, resource: str, subresource: str) -> bool:
    """Whether a rule is about this verb on this resource; `resourceNames` is not looked at."""
    if verb not in rule.verbs and ALL not in rule.verbs:
        return False
    groups = rule.apiGroups or ()
    if group not in groups and ALL not in groups:
        return False
    resources = rule.resources or ()
    if ALL in resources:
        return True
    if not subresource:
        return resource in resources
    return f"{resource}/{subresource}" in resources or f"{ALL}/{subresource}" in resources


def matches_path(rule: PolicyRule, verb: str, path: str) -> bool:
    """Whether a rule allows a verb on a path that is no resource; a trailing `*` stands for anything."""
    if verb not in rule.verbs and ALL not in rule.verbs:
        return False
    return any(_path_covers(pattern, path) for pattern in rule.nonResourceURLs or ())


def _path_covers(pattern: str, path: str) -> bool:
    return pattern == path or (pattern.endswith(ALL) and path.startswith(pattern.rstrip(ALL)))


def uncovered(owned: Sequence[PolicyRule], wanted: Iterable[PolicyRule]) -> list[PolicyRule]:
    """The parts of `wanted` (each with one verb, one group, one resource or path, at most one name) that no single
    owned rule covers."""
    return [part for rule in wanted for part in parts(rule) if not any(_covers(owner, part) for owner in owned)]


def parts(rule: PolicyRule) -> list[PolicyRule]:
    """A rule as rules of one verb, group and resource (or path), and at most one name."""
    found = []
    for group in rule.apiGroups or ():
        for resource in rule.resources or ():
            for verb in rule.verbs:
                names: list[list[str] | None] = [[name] for name in rule.resourceNames or ()] or [None]
                found += [
                    PolicyRule(apiGroups=[group], resources=[resource], verbs=[verb], resourceNames=name)
                    for name in names
                ]
    for path in rule.nonResourceURLs or ():
        found += [PolicyRule(nonResourceURLs=[path], verbs=[verb]) for verb in rule.verbs]
    return found


def _covers(owner: PolicyRule, part: PolicyRule) -> bool:
    (verb,) = part.verbs
    if verb not in owner.verbs and ALL not in owner.verbs:
        return False
    if part.nonResourceURLs:
        (path,) = part.nonResourceURLs
        return any(_path_covers(pattern, path) for pattern in owner.nonResourceURLs or ())
    (group,), (resource,) = part.apiGroups or [""], part.resources or [""]
    groups = owner.apiGroups or ()
    if group not in groups and ALL not in groups:
        return False
    if not _covers_resource(owner.resources or (), resource):
        return False
    if not owner.resourceNames:
        return True
    return bool(part.resourceNames) and set(part.resourceNames or ()) <= set(owner.resourceNames)


def _covers_resource(owned: Sequence[str], resource: str) -> bool:
    if ALL in owned or resource in owned:
        return True
    _, separator, subresource = resource.partition("/")
    return bool(separator) and f"{ALL}/{subresource}" in owned


def compact_text(rule: PolicyRule) -> str:
    """`{APIGroups:[""], Resources:["pods"], Verbs:["get"]}`, as messages show a rule."""
    shown = []
    for word, values in (
        ("APIGroups", rule.apiGroups),
        ("Resources", rule.resources),
        ("ResourceNames", rule.resourceNames),
        ("NonResourceURLs", rule.nonResourceURLs),
        ("Verbs", rule.verbs),
    ):
        if values:
            shown.append(f"{word}:[{' '.join(_quoted(value) for value in values)}]")
    return "{" + ", ".join(shown) + "}"


def _quoted(word: str) -> str:
    return f'"{word}"'


def merged(rules: Iterable[PolicyRule]) -> list[PolicyRule]:
    """Rules of one verb each, put together where they differ in the verb alone."""
    found: dict[tuple[tuple[str, ...], ...], PolicyRule] = {}
    for rule in rules:
        key = tuple(
            tuple(values or ()) for values in (rule.apiGroups, rule.resources, rule.resourceNames, rule.nonResourceURLs)
        )
        known = found.get(key)
        if known is None:
            found[key] = PolicyRule(
                apiGroups=rule.apiGroups,
                resources=rule.resources,
                resourceNames=rule.resourceNames,
                nonResourceURLs=rule.nonResourceURLs,
                verbs=list(rule.verbs),
            )
        else:
            known.verbs = [*known.verbs, *(verb for verb in rule.verbs if verb not in known.verbs)]
    return list(found.values())
