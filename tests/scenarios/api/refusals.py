"""What every refusal must be: a Status that says the same as the HTTP code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

REASONS = {
    400: {"BadRequest"},
    401: {"Unauthorized"},
    403: {"Forbidden"},
    404: {"NotFound"},
    405: {"MethodNotAllowed"},
    406: {"NotAcceptable"},
    409: {"Conflict", "AlreadyExists"},
    410: {"Expired", "Gone"},
    413: {"RequestEntityTooLarge"},
    415: {"UnsupportedMediaType"},
    417: {"ExpectationFailed"},
    422: {"Invalid"},
    429: {"TooManyRequests"},
    431: {"RequestHeaderFieldsTooLarge"},
}
# Faults that are not the server's, by the part of the message that says whose: a resourceVersion that has not come
# yet, a Service with nothing behind it.
OUTSIDE = {504: ("Timeout", "Too large resource version"), 503: ("ServiceUnavailable", "no endpoints available")}


def wrong_refusal(code: int, headers: Mapping[str, str], data: bytes) -> str:
    """What is wrong with a refusal; empty when nothing is."""
    if not headers.get("Content-Type", "").startswith("application/json"):
        return f"{code} with content type {headers.get('Content-Type')}"
    try:
        body: Any = json.loads(data)
    except ValueError:
        return f"{code} without a Status: {data[:200]!r}"
    if not isinstance(body, dict):
        return f"{code} without a Status: {body!r}"
    head = {name: body.get(name) for name in ("kind", "apiVersion", "status", "code")}
    if head != {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code}:
        return f"{code} with {head}"
    reason, message = body.get("reason"), body.get("message")
    if code in OUTSIDE:
        wanted, words = OUTSIDE[code]
        return "" if reason == wanted and words in str(message) else f"{code} with {reason}: {message}"
    if reason not in REASONS.get(code, ()):
        return f"{code} with reason {reason}: {message}"
    return "" if isinstance(message, str) and message else f"{code} without a message"
