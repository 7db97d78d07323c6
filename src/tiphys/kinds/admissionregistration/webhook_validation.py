"""Whether webhooks are well formed: where to call, for what, and what to do when nobody answers.

Validating and mutating webhooks are checked alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from tiphys.kinds.admissionregistration.rule_validation import validate_match_conditions, validate_rules
from tiphys.kinds.label_selectors import validate_label_selector
from tiphys.kinds.object_meta import dns1035_name, subdomain_name
from tiphys.kinds.types.admissionregistration_v1 import (
    MutatingWebhook,
    ServiceReference,
    ValidatingWebhook,
    WebhookClientConfig,
)
from tiphys.kinds.types.meta_v1 import LabelSelector
from tiphys.kinds.value_findings import port_number
from tiphys.machinery.field_errors import (
    FieldError,
    Path,
    duplicate,
    invalid,
    not_supported,
    required,
)
from tiphys.machinery.repetition import repeated

Webhook = MutatingWebhook | ValidatingWebhook

FAILURE_POLICIES = ("Fail", "Ignore")
MATCH_POLICIES = ("Equivalent", "Exact")
REINVOCATION_POLICIES = ("IfNeeded", "Never")
SIDE_EFFECTS = ("None", "NoneOnDryRun")
REVIEW_VERSIONS = ("v1", "v1beta1")
TIMEOUT_LIMIT_SECONDS = 30


def default_webhook(webhook: Webhook) -> None:
    if webhook.failurePolicy is None:
        webhook.failurePolicy = "Fail"
    if webhook.matchPolicy is None:
        webhook.matchPolicy = "Equivalent"
    if webhook.namespaceSelector is None:
        webhook.namespaceSelector = LabelSelector()
    if webhook.objectSelector is None:
        webhook.objectSelector = LabelSelector()
    if webhook.timeoutSeconds is None:
        webhook.timeoutSeconds = 10
    if isinstance(webhook, MutatingWebhook) and webhook.reinvocationPolicy is None:
        webhook.reinvocationPolicy = "Never"
    for rule in webhook.rules or ():
        if rule.scope is None:
            rule.scope = "*"
    service = webhook.clientConfig.service
    if service is not None and service.port is None:
        service.port = 443


def validate_webhooks(webhooks: Sequence[Webhook]) -> list[FieldError]:
    found: list[FieldError] = []
    again = repeated(webhook.name for webhook in webhooks)
    for position, webhook in enumerate(webhooks):
        path = Path("webhooks").index(position)
        found += _webhook_findings(webhook, path)
        found += _version_findings(webhook.admissionReviewVersions, path.child("admissionReviewVersions"))
        if webhook.name and position in again:
            found.append(duplicate(path.child("name"), webhook.name))
    return found


def qualified(name: str, path: Path) -> list[FieldError]:
    """A name of at least three parts, such as `check.example.com`."""
    if not name:
        return [required(path)]
    texts = subdomain_name(name)
    if not texts and name.count(".") < 2:
        texts = ["should be a domain with at least three segments separated by dots"]
    return [invalid(path, name, ",".join(texts))] if texts else []


def _webhook_findings(webhook: Webhook, path: Path) -> list[FieldError]:
    found = qualified(webhook.name, path.child("name"))
    found += validate_rules(webhook.rules or [], path.child("rules"))
    choices: tuple[tuple[str, tuple[str, ...]], ...] = (
        ("failurePolicy", FAILURE_POLICIES),
        ("matchPolicy", MATCH_POLICIES),
        ("sideEffects", SIDE_EFFECTS),
    )
    for field, supported in choices:
        value = getattr(webhook, field)
        if field == "sideEffects" and not value:
            words = ", ".join(supported)
            found.append(required(path.child(field), f"must specify one of {words}"))
        elif value is not None and value not in supported:
            found.append(not_supported(path.child(field), value, supported))
    seconds = webhook.timeoutSeconds
    if seconds is not None and not 1 <= seconds <= TIMEOUT_LIMIT_SECONDS:
        detail = f"the timeout value must be between 1 and {TIMEOUT_LIMIT_SECONDS} seconds"
        found.append(invalid(path.child("timeoutSeconds"), seconds, detail))
    found += validate_label_selector(webhook.namespaceSelector, path.child("namespaceSelector"))
    found += validate_label_selector(webhook.objectSelector, path.child("objectSelector"))
    if isinstance(webhook, MutatingWebhook) and webhook.reinvocationPolicy not in (None, *REINVOCATION_POLICIES):
        at = path.child("reinvocationPolicy")
        found.append(not_supported(at, webhook.reinvocationPolicy, REINVOCATION_POLICIES))
    found += validate_client_config(webhook.clientConfig, path.child("clientConfig"))
    return found + validate_match_conditions(webhook.matchConditions, path.child("matchConditions"))


def _version_findings(versions: list[str], path: Path) -> list[FieldError]:
    if not versions:
        words = ", ".join(REVIEW_VERSIONS)
        return [required(path, f"must specify one of {words}")]
    found: list[FieldError] = []
    again = repeated(versions)
    for position, version in enumerate(versions):
        wrong = ["duplicate version"] if position in again else dns1035_name(version)
        found += [invalid(path.index(position), version, text) for text in wrong]
    if not set(versions) & set(REVIEW_VERSIONS):
        words = ", ".join(REVIEW_VERSIONS)
        found.append(invalid(path, versions, f"must include at least one of {words}"))
    return found


def validate_client_config(config: WebhookClientConfig | Any, path: Path) -> list[FieldError]:
    """Exactly one of an https URL and a Service. CustomResourceDefinitions have the same sort of settings."""
    if (config.url is None) == (config.service is None):
        return [required(path, "exactly one of url or service is required")]
    if config.url is not None:
        return _url_findings(config.url, path.child("url"))
    return _service_findings(config.service, path.child("service"))


def _url_findings(url: str, path: Path) -> list[FieldError]:
    form = "; desired format: https://host[/path]"
    try:
        parts = urlsplit(url)
    except ValueError as problem:
        return [required(path, f"url must be a valid URL: {problem}{form}")]
    found: list[FieldError] = []
    if parts.scheme != "https":
        found.append(invalid(path, parts.scheme, f"'https' is the only allowed URL scheme{form}"))
    if not parts.netloc:
        found.append(invalid(path, parts.netloc, f"host must be specified{form}"))
    if "@" in parts.netloc:
        found.append(invalid(path, parts.netloc.rpartition("@")[0], "user information is not permitted in the URL"))
    if parts.fragment:
        found.append(invalid(path, parts.fragment, "fragments are not permitted in the URL"))
    if parts.query:
        found.append(invalid(path, parts.query, "query parameters are not permitted in the URL"))
    return found


def _service_findings(service: ServiceReference | Any, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    if not service.name:
        found.append(required(path.child("name"), "service name is required"))
    if not service.namespace:
        found.append(required(path.child("namespace"), "service namespace is required"))
    if service.port is not None:
        for text in port_number(service.port):
            found.append(invalid(path.child("port"), service.port, f"port is not valid: {text}"))
    return found + _route_findings(service.path or "/", path.child("path"))


def _route_findings(route: str, path: Path) -> list[FieldError]:
    """The path of a URL: segments that are DNS subdomains, perhaps with a slash at the end."""
    if route == "/":
        return []
    found: list[FieldError] = []
    if not route.startswith("/"):
        found.append(invalid(path, route, "must start with a '/'"))
    for position, step in enumerate(route[1:].removesuffix("/").split("/")):
        wrong = subdomain_name(step) if step else ["may not be empty"]
        found += [invalid(path, route, f"segment[{position}]{': ' if step else ' '}{text}") for text in wrong]
    return found
