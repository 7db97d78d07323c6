"""Admission policies, their bindings, and webhooks: all that is said of them besides what their CEL expressions say."""

from __future__ import annotations

from typing import Any

import pytest
from documents import NOTHING, changed, create_findings, created, resource_for, stored, told

API = "admissionregistration.k8s.io/v1"
OLD_LABEL = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character,"
    " and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is"
    " '[a-z]([-a-z0-9]*[a-z0-9])?')"
)
SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and"
    " end with an alphanumeric character (e.g. 'example.com', regex used for validation is"
    " '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
RULE = {"operations": ["CREATE"], "apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments"]}


def thing(kind: str, **content: Any) -> dict[str, Any]:
    return {"apiVersion": API, "kind": kind, "metadata": {"name": "a"}, **content}


VALIDATING = thing(
    "ValidatingAdmissionPolicy",
    spec={"matchConstraints": {"resourceRules": [RULE]}, "validations": [{"expression": "true"}]},
)
MUTATING = thing(
    "MutatingAdmissionPolicy",
    spec={
        "matchConstraints": {"resourceRules": [RULE]},
        "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": "[]"}}],
        "reinvocationPolicy": "Never",
    },
)
VALIDATING_BINDING = thing(
    "ValidatingAdmissionPolicyBinding", spec={"policyName": "a", "validationActions": ["Deny", "Audit"]}
)
MUTATING_BINDING = thing("MutatingAdmissionPolicyBinding", spec={"policyName": "a"})
HOOK = {
    "name": "check.example.com",
    "clientConfig": {"url": "https://example.com/check"},
    "admissionReviewVersions": ["v1"],
    "sideEffects": "None",
    "rules": [RULE],
}
HOOKS = thing("MutatingWebhookConfiguration", webhooks=[HOOK])


def invalid(path: str, value: str, detail: str) -> tuple[str, str, str]:
    return path, "Invalid", f"Invalid value: {value}: {detail}"


def needed(path: str, detail: str = "") -> tuple[str, str, str]:
    return path, "Required", f"Required value: {detail}" if detail else "Required value"


def unsupported(path: str, value: str, *words: str) -> tuple[str, str, str]:
    listed = ", ".join(f'"{word}"' for word in words)
    return path, "NotSupported", f'Unsupported value: "{value}": supported values: {listed}'


@pytest.mark.parametrize("document", [VALIDATING, MUTATING, VALIDATING_BINDING, MUTATING_BINDING, HOOKS])
def test_good_ones(document: dict[str, Any]) -> None:
    assert create_findings(document) == []
    assert not resource_for(document).strategy.qualified_finalizers


@pytest.mark.parametrize("policy", [VALIDATING, MUTATING])
def test_defaults_of_policies(policy: dict[str, Any]) -> None:
    found = created(changed(policy, {"spec.reinvocationPolicy": None}))
    match = found.spec.matchConstraints
    assert (found.spec.failurePolicy, match.matchPolicy) == ("Fail", "Equivalent")
    assert (match.namespaceSelector, match.objectSelector) == (type(match.namespaceSelector)(),) * 2
    assert match.resourceRules[0].scope == "*"


@pytest.mark.parametrize("policy", [VALIDATING, MUTATING])
def test_what_a_policy_is_about(policy: dict[str, Any]) -> None:
    assert create_findings(changed(policy, {"spec.failurePolicy": "Pass", "spec.matchConstraints": None}))[:2] == [
        unsupported("spec.failurePolicy", "Pass", "Fail", "Ignore"),
        needed("spec.matchConstraints"),
    ]
    constraints = {"matchPolicy": "Some", "namespaceSelector": {"matchExpressions": [{"key": "a", "operator": "Is"}]}}
    assert create_findings(changed(policy, {"spec.matchConstraints": constraints})) == [
        unsupported("spec.matchConstraints.matchPolicy", "Some", "Equivalent", "Exact"),
        invalid(
            "spec.matchConstraints.namespaceSelector.matchExpressions[0].operator",
            '"Is"',
            "not a valid selector operator",
        ),
        needed("spec.matchConstraints.resourceRules"),
    ]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ({}, [needed("spec.paramKind.apiVersion"), needed("spec.paramKind.kind")]),
        ({"apiVersion": "a/b/c", "kind": "Ship"},
         [invalid("spec.paramKind.apiVersion", '"a/b/c"', "unexpected GroupVersion string: a/b/c")]),
        ({"apiVersion": "A/1", "kind": "Ship"},
         [invalid("spec.paramKind.apiVersion", '"A"', SUBDOMAIN),
          invalid("spec.paramKind.apiVersion", '"1"', OLD_LABEL)]),
        ({"apiVersion": "a/", "kind": "Ship"},
         [invalid("spec.paramKind.apiVersion", '"a/"', "version must be specified")]),
        ({"apiVersion": "v1", "kind": "Config_Map"},
         [invalid("spec.paramKind.kind", '"Config_Map"',
                  f"may have mixed case, but should otherwise match: {OLD_LABEL}")]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("policy", [VALIDATING, MUTATING])
def test_the_kind_of_parameters(policy: dict[str, Any], kind: Any, expected: list[tuple[str, str, str]]) -> None:
    assert create_findings(changed(policy, {"spec.paramKind": kind})) == expected


@pytest.mark.parametrize("policy", [VALIDATING, MUTATING])
def test_conditions_and_variables(policy: dict[str, Any]) -> None:
    conditions = [{"name": "a", "expression": "true"}, {"name": "a", "expression": " "}, {}]
    variables = [{"name": "for", "expression": "1"}, {"name": "1", "expression": ""}, {"name": "a", "expression": "1"}]
    identifier = "must be a valid CEL identifier"
    assert create_findings(changed(policy, {"spec.matchConditions": conditions, "spec.variables": variables})) == [
        needed("spec.matchConditions[1].expression"),
        ("spec.matchConditions[1].name", "Duplicate", 'Duplicate value: "a"'),
        needed("spec.matchConditions[2].expression"),
        needed("spec.matchConditions[2].name"),
        invalid("spec.variables[0].name", '"for"', identifier),
        invalid("spec.variables[1].name", '"1"', identifier),
        needed("spec.variables[1].expression", "expression is not specified"),
    ]


def test_rules_name_objects() -> None:
    at = "spec.matchConstraints.excludeResourceRules"
    rule = {**RULE, "resourceNames": ["a", "b/c", "a"]}
    assert create_findings(changed(VALIDATING, {at: [rule]})) == [
        invalid(f"{at}[0].resourceNames[1]", '"b/c"', "may not contain '/'"),
        (f"{at}[0].resourceNames[2]", "Duplicate", 'Duplicate value: "a"'),
    ]


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        (["pods", "pods/log", "*/scale"], []),
        (["*", "pods/log"], []),
        (["pods/*", "pods/log"], [("[1]", '"pods/log"', "if 'pods/*' is present, must not specify pods/log")]),
        (["*/scale", "pods/scale"], [("[1]", '"pods/scale"', "if '*/scale' is present, must not specify pods/scale")]),
        (["*/*", "pods"], [("", '["*/*","pods"]', "if '*/*' is present, must not specify other resources")]),
        (["*", "pods"],
         [("", '["*","pods"]', "if '*' is present, must not specify other resources without subresources")]),
    ],
)  # fmt: skip
def test_resources_of_rules(resources: list[str], expected: list[tuple[str, str, str]]) -> None:
    at = "webhooks[0].rules[0].resources"
    found = create_findings(changed(HOOKS, {"webhooks.0.rules.0.resources": resources}))
    assert found == [invalid(at + place, value, detail) for place, value, detail in expected]


def test_rules_are_whole() -> None:
    at = "webhooks[0].rules[0]"
    rule = {
        "operations": ["*", "WATCH"],
        "apiGroups": ["*", "a"],
        "apiVersions": [""],
        "resources": [""],
        "scope": "Town",
    }
    assert create_findings(changed(HOOKS, {"webhooks.0.rules": [rule, {}]})) == [
        invalid(f"{at}.operations", '["*","WATCH"]', "if '*' is present, must not specify other operations"),
        unsupported(f"{at}.operations[1]", "WATCH", "*", "CONNECT", "CREATE", "DELETE", "UPDATE"),
        invalid(f"{at}.apiGroups", '["*","a"]', "if '*' is present, must not specify other API groups"),
        needed(f"{at}.apiVersions[0]"),
        needed(f"{at}.resources[0]"),
        unsupported(f"{at}.scope", "Town", "*", "Cluster", "Namespaced"),
        *(needed(f"webhooks[0].rules[1].{name}") for name in ("operations", "apiGroups", "apiVersions", "resources")),
    ]


def test_validations() -> None:
    validations = [
        {"expression": " ", "message": " ", "messageExpression": " "},
        {"expression": "true", "message": "a\nb", "reason": "Teapot"},
        {"expression": "a\n && b", "message": "a\n", "messageExpression": "'a'", "reason": "Invalid"},
    ]
    at, empty = "spec.validations", "must be non-empty if specified"
    assert create_findings(changed(VALIDATING, {at: validations})) == [
        needed(f"{at}[0].expression", "expression is not specified"),
        invalid(f"{at}[0].messageExpression", '" "', empty),
        invalid(f"{at}[0].message", '" "', empty),
        invalid(f"{at}[1].message", '"a\\nb"', "must not contain line breaks"),
        unsupported(f"{at}[1].reason", "Teapot", "Forbidden", "Invalid", "RequestEntityTooLarge"),
    ]


def test_annotations_of_audits() -> None:
    at = "spec.auditAnnotations"
    good = {"key": "a", "valueExpression": "'b'"}
    assert create_findings(changed(VALIDATING, {at: [good], "spec.validations": []})) == []
    assert create_findings(changed(VALIDATING, {at: [good, {**good, "valueExpression": "a" * 5121}]})) == [
        needed(f"{at}[1].valueExpression", "must not exceed 5120 bytes in length"),
        (f"{at}[1].key", "Duplicate", 'Duplicate value: "a"'),
    ]
    many = [{"key": f"a{i}", "valueExpression": "'b'"} for i in range(21)]
    assert [found[0] for found in create_findings(changed(VALIDATING, {at: many}))] == [at]
    assert "must not have more than 20 auditAnnotations" in create_findings(changed(VALIDATING, {at: many}))[0][2]


def test_types_that_were_checked() -> None:
    warnings = [{"fieldRef": "spec.validations[0].expression", "warning": "w"}, {}, {"fieldRef": "a[", "warning": "w"}]
    status = {"typeChecking": {"expressionWarnings": warnings}, "conditions": [{"type": "A", "status": "Maybe"}]}
    strategy = resource_for(VALIDATING).strategy
    found = told(strategy.validate_status_update(stored(VALIDATING, status), stored(VALIDATING)))
    at = "status.typeChecking.expressionWarnings"
    assert [(path, reason) for path, reason, _ in found[:4]] == [
        (f"{at}[1].warning", "Required"),
        (f"{at}[1].fieldRef", "Required"),
        (f"{at}[2].fieldRef", "Invalid"),
        ("status.conditions[0].status", "NotSupported"),
    ]


def test_mutations() -> None:
    mutations = [
        {},
        {"patchType": "Merge"},
        {"patchType": "JSONPatch", "applyConfiguration": {"expression": "Object{}"}},
        {
            "patchType": "ApplyConfiguration",
            "applyConfiguration": {"expression": " "},
            "jsonPatch": {"expression": "[]"},
        },
    ]
    at = "spec.mutations"
    assert create_findings(changed(MUTATING, {at: mutations, "spec.reinvocationPolicy": "Often"})) == [
        needed(f"{at}[0].patchType"),
        unsupported(f"{at}[1].patchType", "Merge", "ApplyConfiguration", "JSONPatch"),
        needed(f"{at}[2].jsonPatch", "must be specified when patchType is JSONPatch"),
        invalid(
            f"{at}[2].applyConfiguration",
            '"{applyConfiguration}"',
            "must not be specified when patchType is JSONPatch",
        ),
        needed(f"{at}[3].applyConfiguration.expression"),
        invalid(f"{at}[3].jsonPatch", '"{jsonPatch}"', "must not be specified when patchType is ApplyConfiguration"),
        unsupported("spec.reinvocationPolicy", "Often", "IfNeeded", "Never"),
    ]
    assert create_findings(changed(MUTATING, {at: [], "spec.reinvocationPolicy": NOTHING})) == [
        needed(at, "mutations must contain at least one item"),
        needed("spec.reinvocationPolicy"),
    ]


def test_what_is_deleted_is_not_mutated() -> None:
    rules = [{**RULE, "operations": ["UPDATE", "DELETE"]}]
    words = ("DELETE", "*", "CONNECT", "CREATE", "UPDATE")
    assert create_findings(changed(MUTATING, {"spec.matchConstraints.resourceRules": rules})) == [
        unsupported("spec.matchConstraints.resourceRules.operations", *words)
    ]
    assert create_findings(changed(MUTATING_BINDING, {"spec.matchResources": {"resourceRules": rules}})) == [
        unsupported("spec.matchResources.resourceRules.operations", *words)
    ]


@pytest.mark.parametrize("binding", [VALIDATING_BINDING, MUTATING_BINDING])
def test_bindings_and_their_parameters(binding: dict[str, Any]) -> None:
    assert create_findings(changed(binding, {"spec.policyName": "A"})) == [invalid("spec.policyName", '"A"', SUBDOMAIN)]
    exclusive = "Forbidden: name and selector are mutually exclusive"
    reference = {"name": "a/b", "selector": {}, "parameterNotFoundAction": "Wait"}
    assert create_findings(changed(binding, {"spec.policyName": "", "spec.paramRef": reference})) == [
        needed("spec.policyName"),
        invalid("spec.paramRef.name", '"a/b"', "may not contain '/'"),
        ("spec.paramRef.name", "Forbidden", exclusive),
        ("spec.paramRef.selector", "Forbidden", exclusive),
        unsupported("spec.paramRef.parameterNotFoundAction", "Wait", "Deny", "Allow"),
    ]
    assert create_findings(changed(binding, {"spec.paramRef": {}})) == [
        needed("spec.paramRef", "one of name or selector must be specified"),
        needed("spec.paramRef.parameterNotFoundAction"),
    ]


def test_actions_of_bindings() -> None:
    at = "spec.validationActions"
    assert create_findings(changed(VALIDATING_BINDING, {at: []})) == [
        needed(at, "at least one validation action is required")
    ]
    assert create_findings(changed(VALIDATING_BINDING, {at: ["Deny", "Warn", "Deny", "Cry"]})) == [
        (f"{at}[2]", "Duplicate", 'Duplicate value: "Deny"'),
        unsupported(f"{at}[3]", "Cry", "Audit", "Deny", "Warn"),
        invalid(
            at,
            '["Deny","Warn","Deny","Cry"]',
            "must not contain both Deny and Warn (repeating the same validation failure information in the API"
            " response and headers serves no purpose)",
        ),
    ]


def test_names_and_versions_of_webhooks() -> None:
    hooks = [
        HOOK,
        {**HOOK, "admissionReviewVersions": ["1", "v2", "v2"]},
        {**HOOK, "name": ""},
        {**HOOK, "name": "a.b"},
    ]
    at = "admissionReviewVersions"
    assert create_findings(changed(HOOKS, {"webhooks": hooks})) == [
        invalid(f"webhooks[1].{at}[0]", '"1"', OLD_LABEL),
        invalid(f"webhooks[1].{at}[2]", '"v2"', "duplicate version"),
        invalid(f"webhooks[1].{at}", '["1","v2","v2"]', "must include at least one of v1, v1beta1"),
        ("webhooks[1].name", "Duplicate", 'Duplicate value: "check.example.com"'),
        needed("webhooks[2].name"),
        invalid("webhooks[3].name", '"a.b"', "should be a domain with at least three segments separated by dots"),
    ]


def test_conditions_of_webhooks_are_bounded() -> None:
    conditions = [{"name": f"a{i}", "expression": "true"} for i in range(65)]
    assert create_findings(changed(HOOKS, {"webhooks.0.matchConditions": conditions})) == [
        ("webhooks[0].matchConditions", "TooMany", "Too many: 65: must have at most 64 items")
    ]
