"""Whether what webhooks and policies say of the requests that concern them is well formed: rules and conditions.

CEL expressions have to be there; nothing compiles them yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tiphys.kinds.object_meta import label_key_findings, path_segment_name
from tiphys.kinds.types.admissionregistration_v1 import MatchCondition, NamedRuleWithOperations, RuleWithOperations
from tiphys.machinery.field_errors import FieldError, Path, duplicate, invalid, not_supported, required, too_many
from tiphys.machinery.repetition import repeated

OPERATIONS = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")
SCOPES = ("*", "Cluster", "Namespaced")
CONDITIONS_LIMIT = 64

Rule = RuleWithOperations | NamedRuleWithOperations


def validate_rules(rules: Sequence[Rule], path: Path) -> list[FieldError]:
    return [finding for place, rule in enumerate(rules) for finding in _rule_findings(rule, path.index(place))]


def validate_named_rule(rule: NamedRuleWithOperations, path: Path) -> list[FieldError]:
    names, at = rule.resourceNames or [], path.child("resourceNames")
    found: list[FieldError] = []
    again = repeated(names)
    for position, name in enumerate(names):
        found += [invalid(at.index(position), name, text) for text in path_segment_name(name)]
        if position in again:
            found.append(duplicate(at.index(position), name))
    return found + _rule_findings(rule, path)


def _rule_findings(rule: Rule, path: Path) -> list[FieldError]:
    operations, at = rule.operations or [], path.child("operations")
    found = [] if operations else [required(at)]
    if len(operations) > 1 and "*" in operations:
        found.append(invalid(at, operations, "if '*' is present, must not specify other operations"))
    for position, operation in enumerate(operations):
        if operation not in OPERATIONS:
            found.append(not_supported(at.index(position), operation, OPERATIONS))
    for field, word in (("apiGroups", "API groups"), ("apiVersions", "API versions")):
        values: list[Any] = getattr(rule, field) or []
        if not values:
            found.append(required(path.child(field)))
        if len(values) > 1 and "*" in values:
            detail = f"if '*' is present, must not specify other {word}"
            found.append(invalid(path.child(field), values, detail))
    for position, version in enumerate(rule.apiVersions or ()):
        if not version:
            found.append(required(path.child("apiVersions").index(position)))
    found += _resource_findings(rule.resources or [], path.child("resources"))
    if rule.scope is not None and rule.scope not in SCOPES:
        found.append(not_supported(path.child("scope"), rule.scope, SCOPES))
    return found


def _resource_findings(resources: list[str], path: Path) -> list[FieldError]:
    """`pods`, `pods/log`, `pods/*`, `*/scale`, `*` (of all, without subresources) and `*/*`: nothing is said twice."""
    found = [] if resources else [required(path)]
    all_parts_of: set[str] = set()
    parts_of_all: set[str] = set()
    for position, resource in enumerate(resources):
        if not resource:
            found.append(required(path.index(position)))
            continue
        name, slash, part = resource.partition("/")
        if not slash:
            continue
        for wider in ([f"{name}/*"] if name in all_parts_of else []) + ([f"*/{part}"] if part in parts_of_all else []):
            detail = f"if '{wider}' is present, must not specify {resource}"
            found.append(invalid(path.index(position), resource, detail))
        if part == "*":
            all_parts_of.add(name)
        if name == "*":
            parts_of_all.add(part)
    if len(resources) > 1 and "*/*" in resources:
        found.append(invalid(path, resources, "if '*/*' is present, must not specify other resources"))
    if "*" in resources and any(resource != "*" and resource and "/" not in resource for resource in resources):
        detail = "if '*' is present, must not specify other resources without subresources"
        found.append(invalid(path, resources, detail))
    return found


def validate_match_conditions(conditions: Sequence[MatchCondition] | None, path: Path) -> list[FieldError]:
    conditions = conditions or []
    found: list[FieldError] = []
    if len(conditions) > CONDITIONS_LIMIT:
        found.append(too_many(path, len(conditions), CONDITIONS_LIMIT))
    again = repeated(condition.name for condition in conditions)
    for position, condition in enumerate(conditions):
        at = path.index(position)
        if not condition.expression.strip():
            found.append(required(at.child("expression")))
        if not condition.name:
            found.append(required(at.child("name")))
            continue
        found += [invalid(at.child("name"), condition.name, text) for text in label_key_findings(condition.name)]
        if position in again:
            found.append(duplicate(at.child("name"), condition.name))
    return found
