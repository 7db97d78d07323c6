"""Makes src/tiphys/kubelet/io/cri.fds: the descriptors of CRI v1 and of the containerd events that the kubelet follows.

    generate_cri.py WHEEL     reads CRI v1 from a wheel of container-runtime-interface-api (cri_api/v1/api_pb2.py)
    generate_cri.py --check   checks that the committed file is what this script would write (its input is not needed)

What is committed has names, numbers and types only: no comments, no options, no dependency on gogoproto.
"""

from __future__ import annotations

import ast
import pathlib
import sys
import zipfile

from google.protobuf import descriptor_pb2, timestamp_pb2

OUTPUT = pathlib.Path(__file__).resolve().parent.parent / "src/tiphys/kubelet/io/cri.fds"
MODULE = "cri_api/v1/api_pb2.py"

_FIELD = descriptor_pb2.FieldDescriptorProto
_TYPES = {"string": _FIELD.TYPE_STRING, "uint32": _FIELD.TYPE_UINT32, "bytes": _FIELD.TYPE_BYTES}

# Fields of CRI v1 that are newer than the wheel: message -> [(name, number, type, repeated)].
NEWER_FIELDS = {
    "ImageSpec": [("image_ref", 20, "string", False)],
}

# package -> message -> [(name, number, type, repeated)]; a type with a dot is a message.
EVENT_MESSAGES = {
    "containerd.events": {
        "TaskStart": [("container_id", 1, "string", False), ("pid", 2, "uint32", False)],
        "TaskExit": [
            ("container_id", 1, "string", False),
            ("id", 2, "string", False),
            ("pid", 3, "uint32", False),
            ("exit_status", 4, "uint32", False),
            ("exited_at", 5, ".google.protobuf.Timestamp", False),
        ],
        "TaskOOM": [("container_id", 1, "string", False)],
    },
    "containerd.services.events.v1": {
        "SubscribeRequest": [("filters", 1, "string", True)],
        "EncodedEvent": [("type_url", 1, "string", False), ("value", 2, "bytes", False)],
        "Envelope": [
            ("timestamp", 1, ".google.protobuf.Timestamp", False),
            ("namespace", 2, "string", False),
            ("topic", 3, "string", False),
            ("event", 4, ".containerd.services.events.v1.EncodedEvent", False),
        ],
    },
}


def add_field(message: descriptor_pb2.DescriptorProto, name: str, number: int, kind: str, repeated: bool) -> None:
    field = message.field.add(name=name, number=number)
    field.label = _FIELD.LABEL_REPEATED if repeated else _FIELD.LABEL_OPTIONAL
    if kind.startswith("."):
        field.type, field.type_name = _FIELD.TYPE_MESSAGE, kind
    else:
        field.type = _TYPES[kind]


def serialized_descriptor(wheel: pathlib.Path) -> bytes:
    """The argument of AddSerializedFile in the generated module: read as text, never imported."""
    tree = ast.parse(zipfile.ZipFile(wheel).read(MODULE))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("AddSerializedFile"):
            value = ast.literal_eval(node.args[0])
            assert isinstance(value, bytes)
            return value
    raise SystemExit(f"{wheel}: {MODULE} holds no serialized descriptor")


def strip(message: descriptor_pb2.DescriptorProto) -> None:
    for field in message.field:
        field.ClearField("options")
        field.ClearField("json_name")
    if message.options.map_entry:
        message.options.CopyFrom(descriptor_pb2.MessageOptions(map_entry=True))
    else:
        message.ClearField("options")
    for nested in message.nested_type:
        strip(nested)
    for enum in message.enum_type:
        enum.ClearField("options")


def cri_file(wheel: pathlib.Path) -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto.FromString(serialized_descriptor(wheel))
    file.name = "cri.proto"
    del file.dependency[:]
    file.ClearField("options")
    file.ClearField("source_code_info")
    messages = {message.name: message for message in file.message_type}
    for name, fields in NEWER_FIELDS.items():
        present = {field.number for field in messages[name].field}
        for field in fields:
            if field[1] not in present:
                add_field(messages[name], *field)
    for message in file.message_type:
        strip(message)
    for enum in file.enum_type:
        enum.ClearField("options")
    for service in file.service:
        for method in service.method:
            method.ClearField("options")
    return file


def event_files() -> list[descriptor_pb2.FileDescriptorProto]:
    files = []
    for package, messages in EVENT_MESSAGES.items():
        file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
        file.dependency.append("google/protobuf/timestamp.proto")
        for name, fields in messages.items():
            message = file.message_type.add(name=name)
            for field in fields:
                add_field(message, *field)
        files.append(file)
    return files


def assemble(cri: descriptor_pb2.FileDescriptorProto) -> bytes:
    timestamp = descriptor_pb2.FileDescriptorProto.FromString(timestamp_pb2.DESCRIPTOR.serialized_pb)
    timestamp.ClearField("options")
    files = descriptor_pb2.FileDescriptorSet(file=[timestamp, cri, *event_files()])
    return files.SerializeToString(deterministic=True)


def main(arguments: list[str]) -> None:
    if arguments == ["--check"]:
        committed = OUTPUT.read_bytes()
        files = descriptor_pb2.FileDescriptorSet.FromString(committed)
        (cri,) = [file for file in files.file if file.name == "cri.proto"]
        if assemble(cri) != committed:
            raise SystemExit(f"{OUTPUT} is not what tools/generate_cri.py writes")
        return
    if len(arguments) != 1:
        raise SystemExit(__doc__)
    OUTPUT.write_bytes(assemble(cri_file(pathlib.Path(arguments[0]))))


if __name__ == "__main__":
    main(sys.argv[1:])
