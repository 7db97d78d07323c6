"""Whether admission policies in CEL and their bindings are well formed.

The expressions themselves are compiled by the API server.
"""

from __future__ import annotations

from tiphys.kinds.admissionregistration.webhook_validation import validate_rule
from tiphys.kinds.label_selectors import validate_label_selector
from tiphys.kinds.object_meta import path_segment_name
from tiphys.kinds.types.admissionregistration_v1 import MatchResources, ParamKind, ParamRef, Variable
from tiphys.kinds.types.meta_v1 import LabelSelector
from tiphys.machinery.field_errors import FieldError, Path, duplicate, invalid, not_supported, required
from tiphys.machinery.names import c_identifier

MATCH_POLICIES = ("Equivalent", "Exact")
NOT_FOUND_ACTIONS = ("Allow", "Deny")


def default_match(match: MatchResources | None) -> None:
    if match is None:
        return
    if match.matchPolicy is None:
        match.matchPolicy = "Equivalent"
    if match.namespaceSelector is None:
        match.namespaceSelector = LabelSelector()
    if match.objectSelector is None:
        match.objectSelector = LabelSelector()
    for rule in [*(match.resourceRules or ()), *(match.excludeResourceRules or ())]:
        if rule.scope is None:
            rule.scope = "*"


def validate_match(match: MatchResources, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    if match.matchPolicy is not None and match.matchPolicy not in MATCH_POLICIES:
        found.append(not_supported(path.child("matchPolicy"), match.matchPolicy, MATCH_POLICIES))
    found += validate_label_selector(match.namespaceSelector, path.child("namespaceSelector"))
    found += validate_label_selector(match.objectSelector, path.child("objectSelector"))
    for field in ("resourceRules", "excludeResourceRules"):
        for position, rule in enumerate(getattr(match, field) or ()):
            found += validate_rule(rule, path.child(field).index(position))
    return found


def validate_param_kind(kind: ParamKind, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    if not kind.apiVersion:
        found.append(required(path.child("apiVersion")))
    elif kind.apiVersion.count("/") > 1:
        found.append(
            invalid(path.child("apiVersion"), kind.apiVersion, f"unexpected GroupVersion string: {kind.apiVersion}")
        )
    if not kind.kind:
        found.append(required(path.child("kind")))
    return found


def validate_param_ref(reference: ParamRef, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    if reference.name:
        found += [invalid(path.child("name"), reference.name, text) for text in path_segment_name(reference.name)]
        if reference.selector is not None:
            detail = "name and selector are mutually exclusive"
            found.append(invalid(path.child("name"), reference.name, detail))
    elif reference.selector is None:
        found.append(required(path, "one of name or selector must be specified"))
    else:
        found += validate_label_selector(reference.selector, path.child("selector"))
    action = reference.parameterNotFoundAction
    if not action:
        found.append(required(path.child("parameterNotFoundAction")))
    elif action not in NOT_FOUND_ACTIONS:
        found.append(not_supported(path.child("parameterNotFoundAction"), action, NOT_FOUND_ACTIONS))
    return found


def validate_variables(variables: list[Variable], path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    names: set[str] = set()
    for position, variable in enumerate(variables):
        at = path.index(position)
        if not variable.name:
            found.append(required(at.child("name"), "name is not specified"))
        elif c_identifier(variable.name):
            found.append(invalid(at.child("name"), variable.name, "name is not a valid CEL identifier"))
        if variable.name in names:
            found.append(duplicate(at.child("name"), variable.name))
        names.add(variable.name)
        if not variable.expression.strip():
            found.append(required(at.child("expression"), "expression is not specified"))
    return found
