"""The API's errors: one exception, `ApiError`, that is a Kubernetes Status of kind Failure.

The functions build the errors that clients tell apart by `reason` and `code`. Specified in the API conventions,
"Response Status Kind".
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from tiphys.machinery.field_errors import FieldError


class ApiError(Exception):
    """A failed API call, on either side of the wire. `code` is the HTTP status; `retry_after_seconds` 0 means unset;
    `with_details`: the Status has details, even if they are empty."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        *,
        group: str = "",
        kind: str = "",
        name: str = "",
        uid: str = "",
        causes: Sequence[FieldError] = (),
        retry_after_seconds: int = 0,
        with_details: bool = False,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.group = group
        self.kind = kind
        self.name = name
        self.uid = uid
        self.causes = tuple(causes)
        self.retry_after_seconds = retry_after_seconds
        self.with_details = with_details
        # What the client is warned of all the same.
        self.warnings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"ApiError({self.code}, {self.reason!r}, {self.message!r})"

    def status(self) -> dict[str, Any]:
        """The Status object as plain JSON."""
        details: dict[str, Any] = {}
        for key, value in (("name", self.name), ("group", self.group), ("kind", self.kind), ("uid", self.uid)):
            if value:
                details[key] = value
        if self.causes:
            causes = ({"reason": c.reason, "message": c.message, "field": c.field} for c in self.causes)
            details["causes"] = [{key: value for key, value in cause.items() if value} for cause in causes]
        if self.retry_after_seconds:
            details["retryAfterSeconds"] = self.retry_after_seconds
        status: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
        status["message"] = self.message
        if self.reason:
            status["reason"] = self.reason
        if details or self.with_details:
            status["details"] = details
        status["code"] = self.code
        return status


@contextlib.contextmanager
def warned_of(warnings: Sequence[str]) -> Iterator[None]:
    """An ApiError that leaves this context takes the warnings along."""
    try:
        yield
    except ApiError as error:
        error.warnings = tuple(warnings)
        raise


def from_status(status: dict[str, Any], http_code: int = 500) -> ApiError:
    """The error that a Status in an answer stands for."""
    details = status.get("details") or {}
    causes = [
        FieldError(reason=c.get("reason", ""), field=c.get("field", ""), message=c.get("message", ""))
        for c in details.get("causes") or ()
    ]
    return ApiError(
        int(status.get("code") or http_code),
        status.get("reason") or "",
        status.get("message") or "unknown error",
        group=details.get("group", ""),
        kind=details.get("kind", ""),
        name=details.get("name", ""),
        uid=details.get("uid", ""),
        causes=causes,
        retry_after_seconds=int(details.get("retryAfterSeconds") or 0),
    )


def qualified(resource: str, group: str) -> str:
    """`deployments.apps`, or `pods` for the core group."""
    return f"{resource}.{group}" if group else resource


def not_found(resource: str, group: str, name: str) -> ApiError:
    return ApiError(
        404, "NotFound", f'{qualified(resource, group)} "{name}" not found', group=group, kind=resource, name=name
    )


def path_not_found(with_details: bool = False) -> ApiError:
    """`with_details`: below a path that the server has, there is nothing like this."""
    message = "the server could not find the requested resource"
    return ApiError(404, "NotFound", message, with_details=with_details)


def already_exists(resource: str, group: str, name: str) -> ApiError:
    message = f'{qualified(resource, group)} "{name}" already exists'
    return ApiError(409, "AlreadyExists", message, group=group, kind=resource, name=name)


def conflict(resource: str, group: str, name: str, detail: str) -> ApiError:
    message = f'Operation cannot be fulfilled on {qualified(resource, group)} "{name}": {detail}'
    return ApiError(409, "Conflict", message, group=group, kind=resource, name=name)


MODIFIED_DETAIL = "the object has been modified; please apply your changes to the latest version and try again"


def invalid(kind: str, group: str, name: str, findings: Sequence[FieldError]) -> ApiError:
    """422 with every finding. `kind` is the object's kind (not the plural resource)."""
    texts = [str(finding) for finding in findings]
    joined = texts[0] if len(texts) == 1 else "[" + ", ".join(texts) + "]"
    message = f'{qualified(kind, group)} "{name}" is invalid: {joined}'
    return ApiError(422, "Invalid", message, group=group, kind=kind, name=name, causes=findings)


def bad_request(message: str) -> ApiError:
    return ApiError(400, "BadRequest", message)


def unauthorized(message: str = "Unauthorized") -> ApiError:
    return ApiError(401, "Unauthorized", message)


def forbidden(resource: str, group: str, name: str, detail: str) -> ApiError:
    subject = f'{qualified(resource, group)} "{name}"' if name else qualified(resource, group)
    message = f"{subject} is forbidden: {detail}" if subject else f"forbidden: {detail}"
    return ApiError(403, "Forbidden", message, group=group, kind=resource, name=name, with_details=True)


def method_not_allowed() -> ApiError:
    message = "the server does not allow this method on the requested resource"
    return ApiError(405, "MethodNotAllowed", message, with_details=True)


def method_not_supported(resource: str, group: str, verb: str) -> ApiError:
    """A resource that is served lacks this verb."""
    message = f'{verb} is not supported on resources of kind "{qualified(resource, group)}"'
    return ApiError(405, "MethodNotAllowed", message, group=group, kind=resource)


def not_acceptable(message: str) -> ApiError:
    return ApiError(406, "NotAcceptable", message)


def unsupported_media_type(accepted: Sequence[str]) -> ApiError:
    words = ", ".join(accepted)
    message = f"the body of the request was in an unknown format - accepted media types include: {words}"
    return ApiError(415, "UnsupportedMediaType", message)


def too_large(limit_bytes: int) -> ApiError:
    return ApiError(413, "RequestEntityTooLarge", f"Request entity too large: limit is {limit_bytes}")


def expired(message: str) -> ApiError:
    """410: the resourceVersion or continue token is older than what the server still keeps."""
    return ApiError(410, "Expired", message)


def too_many_requests(message: str, retry_after_seconds: int) -> ApiError:
    return ApiError(429, "TooManyRequests", message, retry_after_seconds=retry_after_seconds)


def internal(message: str) -> ApiError:
    cause = FieldError(reason="", field="", message=message)
    return ApiError(500, "InternalError", f"Internal error occurred: {message}", causes=[cause])


def unavailable(message: str) -> ApiError:
    return ApiError(503, "ServiceUnavailable", message)


def timeout(message: str, retry_after_seconds: int = 0) -> ApiError:
    return ApiError(504, "Timeout", f"Timeout: {message}", retry_after_seconds=retry_after_seconds)


def too_large_resource_version(version: int, current: int) -> ApiError:
    message = f"Timeout: Too large resource version: {version}, current: {current}"
    causes = (FieldError(reason="ResourceVersionTooLarge", field="", message="Too large resource version"),)
    return ApiError(504, "Timeout", message, causes=causes, retry_after_seconds=1)
