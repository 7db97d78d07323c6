"""Whether admission policies in CEL and their bindings are well formed.

Expressions have to be there; nothing compiles them yet.
"""

from __future__ import annotations

from tiphys.kinds import cells
from tiphys.kinds.admissionregistration.rule_validation import validate_match_conditions, validate_named_rule
from tiphys.kinds.admissionregistration.webhook_validation import FAILURE_POLICIES, MATCH_POLICIES
from tiphys.kinds.label_selectors import validate_label_selector
from tiphys.kinds.object_meta import path_segment_name, subdomain_name
from tiphys.kinds.types.admissionregistration_v1 import (
    MatchResources,
    MutatingAdmissionPolicy,
    MutatingAdmissionPolicyBinding,
    ParamKind,
    ParamRef,
    ValidatingAdmissionPolicy,
    ValidatingAdmissionPolicyBinding,
    Variable,
)
from tiphys.kinds.types.meta_v1 import LabelSelector
from tiphys.machinery.field_errors import FieldError, Path, forbidden, invalid, not_supported, required
from tiphys.machinery.names import c_identifier, dns1035_label

MatchPolicy = ValidatingAdmissionPolicy | MutatingAdmissionPolicy
Binding = ValidatingAdmissionPolicyBinding | MutatingAdmissionPolicyBinding

EXCLUSIVE = "name and selector are mutually exclusive"
NOT_FOUND_ACTIONS = ("Deny", "Allow")
# Identifiers of CEL that mean something else.
RESERVED_WORDS = (
    "true false null in as break const continue else for function if import let loop package namespace return var void"
    " while"
)
RESERVED = frozenset(RESERVED_WORDS.split(" "))


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


def validate_scope(policy: MatchPolicy, path: Path) -> list[FieldError]:
    """What policies of both kinds have alike: when they count, and what they are about."""
    spec, constraints = policy.spec, path.child("matchConstraints")
    found: list[FieldError] = []
    if spec.failurePolicy not in FAILURE_POLICIES:
        at = path.child("failurePolicy")
        found.append(not_supported(at, spec.failurePolicy, FAILURE_POLICIES) if spec.failurePolicy else required(at))
    if spec.paramKind is not None:
        found += _param_kind_findings(spec.paramKind, path.child("paramKind"))
    if spec.matchConstraints is None:
        found.append(required(constraints))
    else:
        found += validate_match(spec.matchConstraints, constraints)
        if not spec.matchConstraints.resourceRules:
            found.append(required(constraints.child("resourceRules")))
    found += validate_match_conditions(spec.matchConditions, path.child("matchConditions"))
    return found + _variable_findings(spec.variables or [], path.child("variables"))


def param_kind_text(policy: MatchPolicy) -> str:
    kind = policy.spec.paramKind
    return f"{kind.apiVersion}/{kind.kind}" if kind is not None else cells.UNSET


def validate_match(match: MatchResources, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    if match.matchPolicy is not None and match.matchPolicy not in MATCH_POLICIES:
        found.append(not_supported(path.child("matchPolicy"), match.matchPolicy, MATCH_POLICIES))
    found += validate_label_selector(match.namespaceSelector, path.child("namespaceSelector"))
    found += validate_label_selector(match.objectSelector, path.child("objectSelector"))
    for field in ("resourceRules", "excludeResourceRules"):
        for position, rule in enumerate(getattr(match, field) or ()):
            found += validate_named_rule(rule, path.child(field).index(position))
    return found


def _param_kind_findings(kind: ParamKind, path: Path) -> list[FieldError]:
    at, version = path.child("apiVersion"), kind.apiVersion or ""
    found: list[FieldError] = []
    if not version:
        found.append(required(at))
    elif version.count("/") > 1:
        found.append(invalid(at, version, f"unexpected GroupVersion string: {version}"))
    else:
        found += _group_version_findings(version, at)
    if not kind.kind:
        return [*found, required(path.child("kind"))]
    texts = dns1035_label(kind.kind.lower())
    if texts:
        detail = f"may have mixed case, but should otherwise match: {','.join(texts)}"
        found.append(invalid(path.child("kind"), kind.kind, detail))
    return found


def _group_version_findings(api_version: str, path: Path) -> list[FieldError]:
    group, _, version = api_version.rpartition("/")
    wrong_group, wrong_version = subdomain_name(group) if group else [], dns1035_label(version) if version else []
    found = [invalid(path, group, ",".join(wrong_group))] if wrong_group else []
    if not version:
        found.append(invalid(path, api_version, "version must be specified"))
    return found + ([invalid(path, version, ",".join(wrong_version))] if wrong_version else [])


def validate_binding(binding: Binding, path: Path) -> list[FieldError]:
    """What bindings of both kinds have alike."""
    spec, at = binding.spec, path.child("policyName")
    name = spec.policyName or ""
    found = [invalid(at, name, text) for text in subdomain_name(name)] if name else [required(at)]
    if spec.paramRef is not None:
        found += _param_ref_findings(spec.paramRef, path.child("paramRef"))
    if spec.matchResources is not None:
        found += validate_match(spec.matchResources, path.child("matchResources"))
    return found


def _param_ref_findings(reference: ParamRef, path: Path) -> list[FieldError]:
    name, selector = reference.name or "", reference.selector
    found = [invalid(path.child("name"), name, text) for text in path_segment_name(name)]
    if name and selector is not None:
        found.append(forbidden(path.child("name"), EXCLUSIVE))
    found += validate_label_selector(selector, path.child("selector"))
    if name and selector is not None:
        found.append(forbidden(path.child("selector"), EXCLUSIVE))
    if not name and selector is None:
        found.append(required(path, "one of name or selector must be specified"))
    action, at = reference.parameterNotFoundAction, path.child("parameterNotFoundAction")
    if not action:
        found.append(required(at))
    elif action not in NOT_FOUND_ACTIONS:
        found.append(not_supported(at, action, NOT_FOUND_ACTIONS))
    return found


def _variable_findings(variables: list[Variable], path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    for position, variable in enumerate(variables):
        at, name = path.index(position), variable.name
        if not name.strip():
            found.append(required(at.child("name"), "name is not specified"))
        elif c_identifier(name) or name in RESERVED:
            found.append(invalid(at.child("name"), name, "must be a valid CEL identifier"))
        if not variable.expression.strip():
            found.append(required(at.child("expression"), "expression is not specified"))
    return found
