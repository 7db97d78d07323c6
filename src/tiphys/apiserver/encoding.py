"""Request bodies to objects: JSON, YAML and protobuf, leniently as Go reads them, strictly on demand.

The usual body is decoded straight into its Struct. What that refuses is looked at again as plain JSON: nulls of fields
that may not be null count as left out. `fieldValidation` decides what unknown and duplicate fields lead to: nothing
(Ignore), warnings (Warn, when nothing is asked for), or a refusal (Strict). Other media types are 415.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec
import yaml

from tiphys.apiserver import strictness, yaml_bounds
from tiphys.kinds import codec, protobuf
from tiphys.kinds.type_mismatch import in_go_words
from tiphys.kinds.unstructured import Unstructured
from tiphys.machinery import errors
from tiphys.machinery.field_errors import Path, invalid, not_supported

JSON = "application/json"
YAML = "application/yaml"
PROTOBUF = protobuf.MEDIA_TYPE
ACCEPTED = (JSON, YAML, PROTOBUF)
FIELD_VALIDATIONS = ("", "Ignore", "Strict", "Warn")

_encode_plain = msgspec.json.Encoder().encode
_decode_plain = msgspec.json.Decoder(float_hook=codec.number).decode


class _Loader(yaml.CSafeLoader):
    """YAML as Kubernetes reads it: no dates, no sexagesimal or octal-looking numbers with colons, floats like 1e3.
    `repeated` says which keys a mapping has twice (the last one counts)."""

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self.repeated: list[str] = []


_Loader.yaml_implicit_resolvers = {
    mark: [(tag, pattern) for tag, pattern in found if tag.rsplit(":", 1)[1] in ("null", "merge")]
    for mark, found in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}
_Loader.bool_values = {**yaml.CSafeLoader.bool_values, "y": True, "n": False}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool",
    re.compile(r"^(?:true|True|TRUE|false|False|FALSE|y|Y|yes|Yes|YES|n|N|no|No|NO|on|On|ON|off|Off|OFF)$"),
    list("tTfFyYnNoO"),
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"^[-+]?(?:0x[0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)$"), list("-+0123456789")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?$"),
    list("-+.0123456789"),
)


def _mapping(loader: Any, node: Any) -> dict[Any, Any]:
    seen: set[str] = set()
    for key_node, _ in node.value:
        if isinstance(key_node, yaml.ScalarNode):
            if key_node.value in seen and key_node.tag != "tag:yaml.org,2002:merge":
                loader.repeated.append(
                    f'line {key_node.start_mark.line + 1}: key "{key_node.value}" already set in map'
                )
            seen.add(key_node.value)
    loader.flatten_mapping(node)
    found: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if isinstance(key, bool):
            key = "true" if key else "false"
        elif not isinstance(key, str):
            key = key_node.value
        found[key] = loader.construct_object(value_node, deep=True)
    return found


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)


def media_type(content_type: str) -> str:
    """Without parameters; nothing given means JSON."""
    return content_type.split(";", 1)[0].strip().lower() or JSON


def read_yaml(data: bytes) -> Any:
    """The plain values of a YAML document. ApiError 400."""
    return yaml_and_repeated(data)[0]


def yaml_and_repeated(data: bytes) -> tuple[Any, list[str]]:
    """The plain values of a YAML document, and what is to say of keys that stand there twice. ApiError 400."""
    try:
        yaml_bounds.check(data)
        loader = _Loader(data)
        return loader.get_single_data(), loader.repeated
    except (yaml.YAMLError, ValueError, UnicodeDecodeError, RecursionError) as error:
        raise errors.bad_request(f"error converting YAML to JSON: {' '.join(str(error).split())}") from error


def json_or_yaml(data: bytes) -> Any:
    """The plain values of a configuration to apply. ApiError 400."""
    try:
        return _decode_plain(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return json_values(read_yaml(data))


def json_values(value: Any) -> Any:
    """What YAML says, as JSON can say it. ApiError 400."""
    try:
        return _decode_plain(_encode_plain(value))
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise errors.bad_request(f"error decoding YAML: {error}") from error


def plain_body(data: bytes, content_type: str, kind: str) -> Any:
    """The plain values of a body. ApiError 400 or 415."""
    found = media_type(content_type)
    if found == YAML:
        return read_yaml(data)
    if found == PROTOBUF:
        try:
            return protobuf.decode(data)
        except protobuf.ProtobufError as error:
            raise errors.bad_request(f"the body cannot be read as protobuf: {error}") from error
    if found != JSON:
        raise errors.unsupported_media_type(ACCEPTED)
    try:
        return _decode_plain(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _unreadable(kind, error, data) from error


def _unreadable(kind: str, error: Exception, data: bytes) -> errors.ApiError:
    if kind == "patch":
        return errors.bad_request(f"error decoding patch: {error}")
    detail = f"couldn't get version/kind; json parse error: {error} ({summary(data)})"
    return errors.bad_request(f"the object provided is unrecognized (must be of type {kind}): {detail}")


def decode_body(
    data: bytes, content_type: str, wanted: type[Any], api_version: str, kind: str, field_validation: str = ""
) -> tuple[Any, list[str]]:
    """The object of a body and warnings for the client. ApiError 400 or 415.

    `api_version` and `kind` are what the endpoint expects; a body without them is taken to be of that kind."""
    media = media_type(content_type)
    if media == PROTOBUF:  # what is unknown to the server has no name there, so there is nothing to warn of
        return from_plain(plain_body(data, content_type, kind), wanted, api_version, kind), []
    repeated: list[str] = []
    if media == YAML:
        plain, repeated = yaml_and_repeated(data)
        data = _encode_plain(json_values(plain))
    elif media != JSON:
        raise errors.unsupported_media_type(ACCEPTED)
    try:
        obj = codec.decode(data, wanted)
    except msgspec.ValidationError:
        obj = _leniently(data, wanted, api_version, kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _unreadable(kind, error, data) from error
    _check_kind(obj, api_version, kind, data)
    if field_validation == "Ignore":
        return obj, []
    findings = repeated + strictness.findings(data, wanted)
    if findings and field_validation == "Strict":
        raise unhandled(kind, api_version, strict_words(findings))
    return obj, findings


def _leniently(data: bytes, wanted: type[Any], api_version: str, kind: str) -> Any:
    try:
        return codec.convert(without_nulls(_decode_plain(data)), wanted)
    except (msgspec.ValidationError, ValueError) as error:
        raise unhandled(kind, api_version, in_go_words(str(error), wanted)) from error


def unhandled(kind: str, api_version: str, detail: str) -> errors.ApiError:
    version = api_version.rpartition("/")[2]
    return errors.bad_request(f'{kind} in version "{version}" cannot be handled as a {kind}: {detail}')


def without_nulls(value: Any) -> Any:
    """Plain values in which no mapping has a null."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value


def from_plain(plain: Any, wanted: type[Any], api_version: str, kind: str) -> Any:
    """The object of plain values (a patch's result). ApiError 400."""
    try:
        obj = codec.convert(plain, wanted)
    except msgspec.ValidationError:
        try:
            obj = codec.convert(without_nulls(plain), wanted)
        except msgspec.ValidationError as error:
            raise unhandled(kind, api_version, in_go_words(str(error), wanted)) from error
    _check_kind(obj, api_version, kind)
    return obj


def _check_kind(obj: Any, api_version: str, kind: str, data: bytes = b"") -> None:
    if isinstance(obj, Unstructured):
        _check_custom_kind(obj, api_version, kind, data)
        return
    if not obj.kind:
        obj.kind = kind
    if not obj.apiVersion:
        obj.apiVersion = api_version
    if obj.kind != kind:
        found = f'no kind "{obj.kind}" is registered for version "{obj.apiVersion}"'
        raise errors.bad_request(
            f'{obj.kind} in version "{obj.apiVersion.rpartition("/")[2]}" cannot be handled as a {kind}: {found}'
        )
    if obj.apiVersion != api_version:
        raise errors.bad_request(
            f"the API version in the data ({obj.apiVersion}) does not match the expected API version ({api_version})"
        )


def _check_custom_kind(obj: Unstructured, api_version: str, kind: str, data: bytes) -> None:
    """Custom objects say themselves what they are. ApiError 400 or 422."""
    if not obj.kind:
        text = data.decode(errors="replace")
        detail = f"Object 'Kind' is missing in '{text}' ({summary(data)})"
        raise errors.bad_request(f"the object provided is unrecognized (must be of type {kind}): {detail}")
    group = api_version.rpartition("/")[0]
    if obj.apiVersion != api_version:
        found = f"the API version in the data ({obj.apiVersion}) does not match the expected API version"
        raise errors.bad_request(f"{found} ({api_version})")
    if obj.kind != kind:
        wrong = invalid(Path("kind"), obj.kind, f"must be {kind}")
        raise errors.invalid(obj.kind, group, obj.metadata.name or "", [wrong])


def summary(data: bytes, limit_bytes: int = 30) -> str:
    """The beginning of a body, for messages: as text when it is an object, in hexadecimal otherwise."""
    if not data:
        return "<empty>"
    begin = data[:limit_bytes]
    text = begin.decode(errors="replace") if data.startswith(b"{") else begin.hex()
    return text if len(data) <= limit_bytes else f"{text} ..."


def strict_words(findings: list[str]) -> str:
    return "strict decoding error: " + ", ".join(findings)


def query_options(query: Mapping[str, str], options: str = "CreateOptions") -> tuple[str, bool]:
    """(fieldValidation, dry run). ApiError 422 for values that mean nothing; `options` is their kind."""
    dry_run, validation = query.get("dryRun"), query.get("fieldValidation", "")
    found = []
    if dry_run not in (None, "All"):
        found.append(not_supported(Path("dryRun"), [dry_run], ["All"]))
    if validation not in FIELD_VALIDATIONS:
        found.append(not_supported(Path("fieldValidation"), validation, FIELD_VALIDATIONS))
    if found:
        raise errors.invalid(options, "meta.k8s.io", "", found)
    return validation, dry_run == "All"
