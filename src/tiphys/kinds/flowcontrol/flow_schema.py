"""FlowSchemas: which requests belong to which priority level."""

from __future__ import annotations

from tiphys.kinds import cells, unserved
from tiphys.kinds.equality import same
from tiphys.kinds.flowcontrol import mandatory
from tiphys.kinds.flowcontrol.status_validation import validate_status_update
from tiphys.kinds.object_meta import label_name, subdomain_name
from tiphys.kinds.spec_and_status import clear_status, keep_spec_and_metadata, keep_status
from tiphys.kinds.strategy import Strategy
from tiphys.kinds.types.flowcontrol_v1 import (
    FlowSchema,
    NonResourcePolicyRule,
    PolicyRulesWithSubjects,
    ResourcePolicyRule,
    Subject,
)
from tiphys.machinery.field_errors import FieldError, Path, forbidden, invalid, not_supported, required

SPEC = Path("spec")
DEFAULT_PRECEDENCE, LAST_PRECEDENCE = 1000, 10000
VERBS = frozenset(["get", "list", "create", "update", "patch", "delete", "deletecollection", "watch", "proxy"])
METHODS = ("ByNamespace", "ByUser")
SUBJECT_KINDS = {"Group": "group", "ServiceAccount": "serviceAccount", "User": "user"}


def default(schema: FlowSchema) -> None:
    if not schema.spec.matchingPrecedence:
        schema.spec.matchingPrecedence = DEFAULT_PRECEDENCE


def validate(schema: FlowSchema) -> list[FieldError]:
    spec = schema.spec
    found: list[FieldError] = []
    precedence, at = spec.matchingPrecedence or 0, SPEC.child("matchingPrecedence")
    if precedence <= 0:
        found.append(invalid(at, precedence, "must be a positive value"))
    elif precedence > LAST_PRECEDENCE:
        found.append(invalid(at, precedence, f"must not be greater than {LAST_PRECEDENCE}"))
    elif precedence == 1 and schema.metadata.name != mandatory.EXEMPT:
        found.append(invalid(at, precedence, "only the schema named 'exempt' may have matchingPrecedence 1"))
    if spec.distinguisherMethod is not None and spec.distinguisherMethod.type not in METHODS:
        found.append(not_supported(SPEC.child("distinguisherMethod", "type"), spec.distinguisherMethod.type, METHODS))
    name, at = spec.priorityLevelConfiguration.name, SPEC.child("priorityLevelConfiguration", "name")
    if not name:
        found.append(required(at, "must reference a priority level"))
    else:
        found += [invalid(at, name, text) for text in subdomain_name(name)]
    for position, rule in enumerate(spec.rules or ()):
        found += _rule_findings(rule, SPEC.child("rules").index(position))
    fixed = mandatory.SCHEMAS.get(schema.metadata.name or "")
    if fixed is not None and not same(spec, fixed):
        found.append(invalid(SPEC, spec, f"spec of '{schema.metadata.name}' must equal the fixed value"))
    return found


def _rule_findings(rule: PolicyRulesWithSubjects, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    if not rule.subjects:
        found.append(required(path.child("subjects"), "subjects must contain at least one value"))
    for position, subject in enumerate(rule.subjects):
        found += _subject_findings(subject, path.child("subjects").index(position))
    if not rule.resourceRules and not rule.nonResourceRules:
        found.append(required(path, "at least one of resourceRules and nonResourceRules has to be non-empty"))
    for position, resources in enumerate(rule.resourceRules or ()):
        found += _resource_findings(resources, path.child("resourceRules").index(position))
    for position, urls in enumerate(rule.nonResourceRules or ()):
        found += _url_findings(urls, path.child("nonResourceRules").index(position))
    return found


def _subject_findings(subject: Subject, path: Path) -> list[FieldError]:
    if subject.kind not in SUBJECT_KINDS:
        return [not_supported(path.child("kind"), subject.kind, sorted(SUBJECT_KINDS))]
    found: list[FieldError] = []
    wanted = SUBJECT_KINDS[subject.kind]
    for field in SUBJECT_KINDS.values():
        value = getattr(subject, field)
        if field == wanted and value is None:
            detail = f"{field} is required when subject kind is '{subject.kind}'"
            found.append(required(path.child(field), detail))
        elif field != wanted and value is not None:
            kind = next(kind for kind, name in SUBJECT_KINDS.items() if name == field)
            detail = f"{field} is forbidden when subject kind is not '{kind}'"
            found.append(forbidden(path.child(field), detail))
        elif field == wanted and not value.name:
            found.append(required(path.child(field, "name")))
    account = subject.serviceAccount
    if wanted == "serviceAccount" and account is not None:
        at = path.child("serviceAccount")
        if account.name not in ("", "*"):
            found += [invalid(at.child("name"), account.name, text) for text in subdomain_name(account.name)]
        if not account.namespace:
            found.append(required(at.child("namespace"), "must specify namespace for service account"))
        else:
            found += [invalid(at.child("namespace"), account.namespace, text) for text in label_name(account.namespace)]
    return found


def _star_findings(values: list[str], path: Path, word: str) -> list[FieldError]:
    """At least one value, and no other beside the one for all."""
    if not values:
        return [required(path, f"{word} must contain at least one value")]
    if "*" in values and len(values) > 1:
        return [invalid(path, values, f"if '*' is present, must not specify other {word}")]
    return []


def _verb_findings(verbs: list[str], path: Path) -> list[FieldError]:
    found = _star_findings(verbs, path, "verbs")
    if not found and "*" not in verbs and not VERBS.issuperset(verbs):
        found.append(not_supported(path, verbs, sorted(VERBS)))
    return found


def _resource_findings(rule: ResourcePolicyRule, path: Path) -> list[FieldError]:
    found = _verb_findings(rule.verbs, path.child("verbs"))
    for field, word in (("apiGroups", "api group"), ("resources", "resource")):
        values, at = getattr(rule, field), path.child(field)
        if not values:
            found.append(required(at, f"resource rules must supply at least one {word}"))
        found += _star_findings(values, at, f"{word}s") if values else []
    namespaces = rule.namespaces or []
    if not namespaces and not rule.clusterScope:
        detail = "resource rules that are not cluster scoped must supply at least one namespace"
        found.append(required(path.child("namespaces"), detail))
    elif "*" in namespaces and len(namespaces) > 1:
        detail = "may not specify both '*' and specific namespaces"
        found.append(invalid(path.child("namespaces"), namespaces, detail))
    for position, name in enumerate(namespaces):
        if name != "*":
            at = path.child("namespaces").index(position)
            rule_text = "each member of this list must be '*' or a DNS-1123 label; "
            found += [invalid(at, name, rule_text + text) for text in label_name(name)]
    return found


def _url_findings(rule: NonResourcePolicyRule, path: Path) -> list[FieldError]:
    found = _verb_findings(rule.verbs, path.child("verbs"))
    if not rule.nonResourceURLs:
        return [*found, required(path.child("nonResourceURLs"), "nonResourceURLs must contain at least one value")]
    found += _star_findings(rule.nonResourceURLs, path.child("nonResourceURLs"), "non-resource URLs")
    for position, url in enumerate(rule.nonResourceURLs):
        at = path.child("nonResourceURLs").index(position)
        if url == "*":
            continue
        if not url:
            found.append(invalid(at, url, "must not be empty"))
        elif not url.startswith("/"):
            found.append(invalid(at, url, "must start with slash"))
        if " " in url:
            found.append(invalid(at, url, "must not contain white-space"))
        if "//" in url:
            found.append(invalid(at, url, "must not contain double slash"))
        if "*" in url[:-1] or (url.endswith("*") and not url.endswith("/*")):
            found.append(invalid(at, url, "wildcard can only do suffix matching"))
    return found


def _missing_level(schema: FlowSchema) -> str:
    dangling = next((c.status for c in schema.status.conditions or () if c.type == "Dangling"), None)
    return dangling or "?"


def _method(schema: FlowSchema) -> str:
    method = schema.spec.distinguisherMethod
    return method.type if method is not None else cells.NONE


STRATEGY: Strategy[FlowSchema] = Strategy(
    default=default,
    prepare_for_create=clear_status,
    prepare_for_update=keep_status,
    prepare_for_status_update=keep_spec_and_metadata,
    validate=validate,
    warnings=unserved.warned(unserved.FAIRNESS),
    validate_status_update=validate_status_update,
    columns=(
        cells.name_column(),
        cells.text("PriorityLevel", lambda schema: schema.spec.priorityLevelConfiguration.name),
        cells.count("MatchingPrecedence", lambda schema: schema.spec.matchingPrecedence),
        cells.text("DistinguisherMethod", _method),
        cells.age_column(),
        cells.text("MissingPL", _missing_level),
    ),
)
