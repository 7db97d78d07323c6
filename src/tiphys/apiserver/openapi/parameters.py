"""The query and path parameters of the API's operations, in OpenAPI v3 form."""

from __future__ import annotations

from typing import Any

Parameter = dict[str, Any]


def query(name: str, kind: str, description: str) -> Parameter:
    return {
        "name": name,
        "in": "query",
        "description": description,
        "schema": {"type": kind, "uniqueItems": True},
    }


def in_path(name: str, description: str) -> Parameter:
    return {
        "name": name,
        "in": "path",
        "description": description,
        "required": True,
        "schema": {"type": "string", "uniqueItems": True},
    }


PRETTY = query("pretty", "string", "Set to 'true' for an answer with line breaks and indentation.")
DRY_RUN = query("dryRun", "string", "With the value All every stage runs but nothing is stored.")
FIELD_MANAGER = query("fieldManager", "string", "Who makes this change, as it is recorded in metadata.managedFields.")
FIELD_VALIDATION = query(
    "fieldValidation",
    "string",
    "What to do about fields that are unknown or come twice: Ignore, Warn (the default) or Strict.",
)
FORCE = query("force", "boolean", "For apply patches: take over fields that other managers own.")

RESOURCE_VERSION = query("resourceVersion", "string", "The version that the answer is at, or at least at.")
LIST = (
    query("allowWatchBookmarks", "boolean", "Ask for BOOKMARK events, which carry a resourceVersion to go on from."),
    query("continue", "string", "Where to go on with a list that had a limit: the token of the last answer."),
    query("fieldSelector", "string", "Restricts the objects by their fields."),
    query("labelSelector", "string", "Restricts the objects by their labels."),
    query("limit", "integer", "The most objects in one answer; the rest follows with the continue token."),
    RESOURCE_VERSION,
    query("resourceVersionMatch", "string", "How resourceVersion is meant: Exact or NotOlderThan."),
    query("sendInitialEvents", "boolean", "Begin a watch with the present objects as events, ended by a bookmark."),
    query("shardSelector", "string", "Restricts the objects to a range of hash values. Not supported."),
    query("timeoutSeconds", "integer", "How long a list or watch may take, in seconds."),
    query("watch", "boolean", "Answer with the stream of changes in place of the list."),
)
DELETE = (
    DRY_RUN,
    query("gracePeriodSeconds", "integer", "Seconds until the object is removed; 0 is at once."),
    query(
        "ignoreStoreReadErrorWithClusterBreakingPotential",
        "boolean",
        "Delete an object that cannot be read any more, without regard to finalizers and hooks.",
    ),
    query("orphanDependents", "boolean", "Deprecated: use propagationPolicy."),
    query("propagationPolicy", "string", "What becomes of dependents: Orphan, Background or Foreground."),
)
NAMESPACE = in_path("namespace", "The namespace of the objects.")
NAME = in_path("name", "The name of the object.")
PROXY_PATH = in_path("path", "The path of the request behind the proxy.")

WRITE = (DRY_RUN, FIELD_MANAGER, FIELD_VALIDATION)
PATCH = (*WRITE, FORCE)

_EXEC = (
    query("container", "string", "The container; the only one when there is just one."),
    query("stderr", "boolean", "Send the standard error stream."),
    query("stdin", "boolean", "Take the standard input stream."),
    query("stdout", "boolean", "Send the standard output stream."),
    query("tty", "boolean", "Give the process a terminal."),
)
_PROXY = (query("path", "string", "The path of the request behind the proxy."),)
CONNECT = {
    "exec": (query("command", "string", "The command and its arguments; no shell reads it."), *_EXEC),
    "attach": _EXEC,
    "portforward": (query("ports", "integer", "The ports to forward; needed with WebSockets."),),
    "proxy": _PROXY,
}
LOG = (
    query("container", "string", "The container; the only one when there is just one."),
    query("follow", "boolean", "Go on with what is logged from now on."),
    query("insecureSkipTLSVerifyBackend", "boolean", "Do not verify the certificate of the node."),
    query("limitBytes", "integer", "The most bytes to send."),
    query("previous", "boolean", "The log of the container's last run before this one."),
    query("sinceSeconds", "integer", "Lines of the last so many seconds."),
    query("stream", "string", "Which stream: All, Stdout or Stderr."),
    query("tailLines", "integer", "The last so many lines."),
    query("timestamps", "boolean", "Put the time before each line."),
)
