"""Request bodies to objects: JSON, YAML and protobuf, leniently as Go reads them, strictly on demand.

The usual body is decoded straight into its Struct. What that refuses is looked at again as plain JSON: nulls of fields
that may not be null count as left out. `fieldValidation` decides what unknown and duplicate fields lead to: nothing
(Ignore), warnings (Warn, when nothing is asked for), or a refusal (Strict). Other media types are 415.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import yaml

from tiphys.apiserver import strictness, yaml_bounds
from tiphys.kinds import codec, misfits, protobuf, zero_values
from tiphys.kinds.leniency import lenient
from tiphys.kinds.misfits import Misfit
from tiphys.kinds.unstructured import Unstructured
from tiphys.machinery import errors, json_faults
from tiphys.machinery.field_errors import Path, not_supported

JSON = "application/json"
YAML = "application/yaml"
PROTOBUF = protobuf.MEDIA_TYPE
ACCEPTED = (JSON, YAML, PROTOBUF)
FIELD_VALIDATIONS = ("", "Ignore", "Strict", "Warn")

_encode_plain = msgspec.json.Encoder().encode
_decode_plain = msgspec.json.Decoder(float_hook=codec.number).decode


class DoesNotFit(Exception):
    """Plain values that are no object of the wanted type; says why as readers of bodies do. `misfit` is the part that
    is wrong, None where it was not found."""

    def __init__(self, misfit: Misfit | None, detail: str) -> None:
        self.is_head = misfit is not None and misfit.field in (("apiVersion",), ("kind",))
        if misfit is not None:
            detail = misfit.unmarshal_text()
        if misfit is not None and self.is_head:
            detail = f"couldn't get version/kind; json parse error: {replace(misfit, owner='').unmarshal_text()}"
        super().__init__(detail)
        self.misfit = misfit


class _Loader(yaml.CSafeLoader):
    """YAML as Kubernetes reads it: no dates, no sexagesimal or octal-looking numbers with colons, floats like 1e3.
    `repeated` says which keys a mapping has twice (the last one counts)."""

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self.repeated: list[str] = []


# Sets, ordered maps and dates are nothing that JSON has.
_Loader.yaml_constructors = {
    tag: constructor
    for tag, constructor in yaml.CSafeLoader.yaml_constructors.items()
    if tag is None or tag.rpartition(":")[2] in ("null", "bool", "int", "float", "binary", "str", "seq")
}
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
    re.compile(
        r"^(?:[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
    ),
    list("-+.0123456789"),
)


def _mapping(loader: Any, node: Any) -> dict[Any, Any]:
    if not isinstance(node, yaml.MappingNode):
        raise ValueError(f"what is called a map in line {node.start_mark.line + 1} is none")
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
        if not isinstance(key_node, yaml.ScalarNode) or key_node.tag == "tag:yaml.org,2002:null":
            raise ValueError(f"invalid map key in line {key_node.start_mark.line + 1}")
        key = loader.construct_object(key_node, deep=True)
        if isinstance(key, bool):
            key = "true" if key else "false"
        elif not isinstance(key, str):
            key = key_node.value
        found[key] = loader.construct_object(value_node, deep=True)
    return found


def _float(loader: Any, node: Any) -> float | str:
    """JSON has no infinity and no NaN: what is only too large stays the text that it is."""
    found: float = loader.construct_yaml_float(node)
    if math.isfinite(found):
        return found
    if "." in node.value.lower().strip("+-")[:1]:
        raise ValueError(f"json: unsupported value: {node.value}")
    return str(node.value)


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)
_Loader.add_constructor("tag:yaml.org,2002:float", _float)


_PARAMETER = r'\s*[^\s;="]+=(?:[^\s;="]+|"[^"]*")\s*'
_PARAMETERS = re.compile(rf"\s*|{_PARAMETER}(?:;{_PARAMETER})*;?\s*")
# `!!bool x` and `!!int ""` make their constructors fail in their own ways.
_UNREADABLE_YAML = (yaml.YAMLError, ValueError, KeyError, IndexError)


def media_type(content_type: str) -> str:
    """Without parameters; nothing given means JSON. "" when the parameters cannot be read."""
    media, mark, parameters = content_type.partition(";")
    if mark and _PARAMETERS.fullmatch(parameters) is None:
        return ""
    return media.strip().lower() if content_type.strip() else JSON


def read_yaml(data: bytes) -> Any:
    """The plain values of a YAML document. ApiError 400."""
    return yaml_and_repeated(data)[0]


def yaml_and_repeated(data: bytes) -> tuple[Any, list[str]]:
    """The plain values of a YAML document, and what is to say of keys that stand there twice. ApiError 400."""
    try:
        yaml_bounds.check(data)
        loader = _Loader(data)
        return loader.get_single_data(), loader.repeated
    except (*_UNREADABLE_YAML, RecursionError) as error:
        raise errors.bad_request(f"error converting YAML to JSON: {_yaml_words(error)}") from error


def _yaml_words(error: Exception) -> str:
    """What a reader of YAML says, and in which line if not in the first."""
    if isinstance(error, yaml.reader.ReaderError):
        return f"yaml: {error.reason}"
    if not isinstance(error, yaml.MarkedYAMLError):
        return " ".join(str(error).split())
    line = error.problem_mark.line if error.problem_mark is not None else 0
    if line:  # a scanner has not come to the end of its line yet
        line += isinstance(error, yaml.scanner.ScannerError)
    elif error.context_mark is not None:
        line = error.context_mark.line
    return f"yaml: line {line}: {error.problem}" if line else f"yaml: {error.problem}"


def yaml_as_json(data: bytes) -> tuple[bytes, list[str]]:
    """A YAML document as JSON, and what is to say of keys that stand there twice. ApiError 400."""
    plain, repeated = yaml_and_repeated(data)
    return _encode_plain(json_values(plain)), repeated


def is_json(data: bytes) -> bool:
    try:
        _decode_plain(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def json_or_yaml(data: bytes) -> Any:
    """The plain values of a configuration to apply. ApiError 400."""
    try:
        return _decode_plain(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        try:
            return json_values(read_yaml(data))
        except errors.ApiError as error:
            if not error.message.startswith("error decoding YAML: "):
                error.message = f"error decoding YAML: {error.message}"
            raise


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


def _unreadable(kind: str, error: object, data: bytes) -> errors.ApiError:
    text = json_faults.find(data) or _words(error)
    if kind == "patch":
        return errors.bad_request(f"error decoding patch: {text}")
    detail = f"couldn't get version/kind; json parse error: {text}"
    return errors.bad_request(detail) if kind == "DeleteOptions" else _unrecognized(kind, detail, data)


def _words(error: object) -> str:
    """Without where it was."""
    return str(error).partition(" - at `")[0]


def _unrecognized(kind: str, detail: str, data: bytes) -> errors.ApiError:
    text = f"the object provided is unrecognized (must be of type {kind}): {detail} ({summary(data)})"
    return errors.bad_request(text)


def decode_body(
    data: bytes,
    content_type: str,
    wanted: type[Any],
    api_version: str,
    kind: str,
    field_validation: str = "",
    also: Collection[str] = (),
    found_twice: Sequence[str] = (),
) -> tuple[Any, list[str]]:
    """The object of a body and warnings for the client. ApiError 400 or 415.

    `api_version` and `kind` are what the endpoint expects; a body without them is taken to be of that kind. An
    apiVersion of `also` is as good: the object has the same form and meaning in it. `found_twice`: what is to say of
    keys of a body that was YAML."""
    media = media_type(content_type)
    if media == PROTOBUF and issubclass(wanted, Unstructured):  # nothing says what its fields' numbers are
        raise errors.unsupported_media_type((JSON, YAML))
    if media == PROTOBUF:  # what is unknown to the server has no name there, so there is nothing to warn of
        return from_plain(plain_body(data, content_type, kind), wanted, api_version, kind, also), []
    repeated = list(found_twice)
    if media == YAML:
        data, repeated = yaml_as_json(data)
    elif media != JSON:
        raise errors.unsupported_media_type(ACCEPTED)
    try:
        obj = codec.decode(data, wanted)
    except msgspec.ValidationError:
        obj = _leniently(data, wanted, api_version, kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _unreadable(kind, error, data) from error
    _accept(obj, api_version, kind, also)
    if isinstance(obj, Unstructured):
        _check_custom(obj, api_version, kind, data)
    if field_validation == "Ignore":
        return obj, []
    findings = repeated + strictness.findings(data, wanted)
    if findings and field_validation == "Strict":
        raise unhandled(kind, api_version, strict_words(findings))
    return obj, findings


def _leniently(data: bytes, wanted: type[Any], api_version: str, kind: str) -> Any:
    try:
        return _fitting(lenient(_decode_plain(data), wanted), wanted)
    except DoesNotFit as error:
        if error.is_head:
            raise _unrecognized(kind, str(error), data) from error
        raise unhandled(kind, api_version, str(error)) from error
    except msgspec.ValidationError as error:
        raise unhandled(kind, api_version, _words(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _unreadable(kind, error, data) from error


def unhandled(kind: str, api_version: str, detail: str) -> errors.ApiError:
    version = api_version.rpartition("/")[2]
    return errors.bad_request(f'{kind} in version "{version}" cannot be handled as a {kind}: {detail}')


def from_plain(plain: Any, wanted: type[Any], api_version: str, kind: str, also: Collection[str] = ()) -> Any:
    """The object of plain values. ApiError 400."""
    try:
        return typed(plain, wanted, api_version, kind, also)
    except DoesNotFit as error:
        raise unhandled(kind, api_version, str(error)) from error


def typed(plain: Any, wanted: type[Any], api_version: str, kind: str, also: Collection[str] = ()) -> Any:
    """The object of plain values. DoesNotFit; ApiError 400 for one of another kind."""
    try:
        obj = codec.convert(plain, wanted)
    except msgspec.ValidationError:
        obj = _fitting(lenient(plain, wanted), wanted)
    _accept(obj, api_version, kind, also)
    return obj


def _fitting(plain: Any, wanted: type[Any]) -> Any:
    try:
        return codec.convert(plain, wanted)
    except (msgspec.ValidationError, ValueError) as error:
        raise DoesNotFit(misfits.first(plain, wanted), str(error)) from error


def _accept(obj: Any, api_version: str, kind: str, also: Collection[str]) -> None:
    """The object is of the kind that the endpoint expects, and says things in one way only. ApiError 400."""
    if isinstance(obj, Unstructured):
        zero_values.drop(obj.metadata)
        return
    if not obj.kind:
        obj.kind = kind
    if not obj.apiVersion or obj.apiVersion in also:
        obj.apiVersion = api_version
    zero_values.drop(obj)
    if obj.kind != kind:
        found = f'no kind "{obj.kind}" is registered for version "{obj.apiVersion}"'
        raise errors.bad_request(
            f'{obj.kind} in version "{obj.apiVersion.rpartition("/")[2]}" cannot be handled as a {kind}: {found}'
        )
    if obj.apiVersion != api_version:
        raise errors.bad_request(
            f"the API version in the data ({obj.apiVersion}) does not match the expected API version ({api_version})"
        )


def _check_custom(obj: Unstructured, api_version: str, kind: str, data: bytes) -> None:
    """Custom objects say themselves what they are (whether they are of the right kind is a matter of validation), and
    what is within them. ApiError 400."""
    if not obj.kind:
        text = data.decode(errors="replace")
        raise _unrecognized(kind, f"Object 'Kind' is missing in '{text}'", data)
    if obj.apiVersion.count("/") > 1:
        raise _unrecognized(kind, f"unexpected GroupVersion string: {obj.apiVersion}", data)
    if obj.apiVersion != api_version:
        found = f"the API version in the data ({obj.apiVersion}) does not match the expected API version"
        raise errors.bad_request(f"{found} ({api_version})")
    malformed = obj.malformed()
    if malformed:
        raise unhandled(kind, api_version, malformed)


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
