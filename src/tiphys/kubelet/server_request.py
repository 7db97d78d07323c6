"""What the kubelet's HTTPS server is asked for: paths and parameters to values, and the access that each needs.
Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from tiphys.kubelet.log_format import LogOptions
from tiphys.machinery import timestamps


class BadRequest(ValueError):
    """Answered with 400 and the message as text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The pod and container that a path names; `uid` "" when it names none."""

    namespace: str
    pod: str
    uid: str = ""
    container: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamOptions:
    """What exec and attach connect."""

    command: tuple[str, ...] = ()
    stdin: bool = False
    stdout: bool = False
    stderr: bool = False
    tty: bool = False


def container_target(parts: Sequence[str]) -> Target:
    """`NAMESPACE/POD/CONTAINER` or `NAMESPACE/POD/UID/CONTAINER`."""
    words = [unquote(part) for part in parts]
    if len(words) == 3:
        return Target(namespace=words[0], pod=words[1], container=words[2])
    if len(words) == 4:
        return Target(namespace=words[0], pod=words[1], uid=words[2], container=words[3])
    raise BadRequest("the path must name a namespace, a pod and a container")


def pod_target(parts: Sequence[str]) -> Target:
    """`NAMESPACE/POD` or `NAMESPACE/POD/UID`."""
    words = [unquote(part) for part in parts]
    if len(words) not in (2, 3):
        raise BadRequest("the path must name a namespace and a pod")
    return Target(namespace=words[0], pod=words[1], uid=words[2] if len(words) == 3 else "")


def _flag(query: Mapping[str, str], *names: str) -> bool:
    return any(query.get(name, "").lower() in ("1", "true") for name in names)


def stream_options(query: Mapping[str, str], commands: Sequence[str]) -> StreamOptions:
    """The parameters of exec and attach under the names that API servers use (input) and that clients use (stdin)."""
    options = StreamOptions(
        command=tuple(commands),
        stdin=_flag(query, "input", "stdin"),
        stdout=_flag(query, "output", "stdout"),
        stderr=_flag(query, "error", "stderr"),
        tty=_flag(query, "tty"),
    )
    if options.tty and options.stderr:  # a terminal has one output
        options = StreamOptions(command=options.command, stdin=options.stdin, stdout=options.stdout, tty=True)
    if not (options.stdin or options.stdout or options.stderr):
        raise BadRequest("you must specify at least 1 of stdin, stdout, stderr")
    return options


def _number(query: Mapping[str, str], name: str, least: int) -> int | None:
    text = query.get(name, "")
    if not text:
        return None
    try:
        value = int(text)
    except ValueError:
        raise BadRequest(f"{name} must be a whole number: {text!r}") from None
    if value < least:
        raise BadRequest(f"{name} must be at least {least}: {value}")
    return value


def log_options(query: Mapping[str, str], now: float) -> tuple[LogOptions, bool]:
    """The parameters of a log request, and whether the previous container's log is wanted."""
    since_seconds = _number(query, "sinceSeconds", 1)
    since = query.get("sinceTime", "")
    if since and since_seconds is not None:
        raise BadRequest("at most one of `sinceTime` or `sinceSeconds` may be specified")
    if since_seconds is not None:
        since = str(timestamps.micro_time_of(now - since_seconds))
    elif since:
        try:
            since = str(timestamps.parse_micro_time(since))
        except ValueError as error:
            raise BadRequest(str(error)) from None
    stream = query.get("stream", "All")
    options = LogOptions(
        follow=_flag(query, "follow"),
        timestamps=_flag(query, "timestamps"),
        tail_lines=_number(query, "tailLines", 0),
        since=since,
        limit_bytes=_number(query, "limitBytes", 1),
        stream={"All": "", "Stdout": "stdout", "Stderr": "stderr"}.get(stream, ""),
    )
    return options, _flag(query, "previous")


def needed_access(method: str, first: str) -> tuple[str, str]:
    """The verb and the subresource of `nodes` that a request needs, by its method and the first part of its path."""
    verb = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}.get(method, "get")
    subresource = {"stats": "stats", "metrics": "metrics", "logs": "log", "spec": "spec"}.get(first, "proxy")
    return verb, subresource
