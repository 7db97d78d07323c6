from __future__ import annotations

import asyncio
import pathlib

import pytest

from tiphys.kubelet.io.logs import read_log
from tiphys.kubelet.log_format import LogLine, LogOptions, parse_line, rotated_names, tail_offset


def line(second: int, content: str, stream: str = "stdout", tag: str = "F") -> bytes:
    return f"2026-01-01T00:00:{second:02}.000000000Z {stream} {tag} {content}\n".encode()


def test_lines_are_parsed() -> None:
    time = b"2026-01-01T00:00:01.000000000Z"
    assert parse_line(line(1, "hello world")) == LogLine(time, b"stdout", b"hello world\n", False)
    assert parse_line(line(1, "half", tag="P")) == LogLine(time, b"stdout", b"half", True)
    assert parse_line(time + b" stderr F\n") == LogLine(time, b"stderr", b"\n", False)
    assert parse_line(b"something else\n") is None


@pytest.mark.parametrize(("count", "offset"), [(0, 6), (1, 4), (2, 2), (3, None)])
def test_the_end_of_a_file_is_found(count: int, offset: int | None) -> None:
    assert tail_offset(b"a\nb\nc\n", 0, count) == offset


def test_old_logs_are_told_from_newer_ones() -> None:
    present = [
        "0.log",
        "0.log.20260101-000001",
        "0.log.20260101-000003",
        "0.log.20260101-000002",
        "1.log.20260101-000009",
    ]
    assert rotated_names("0.log", present, keep=1) == (
        ["0.log.20260101-000003"],
        ["0.log.20260101-000002", "0.log.20260101-000001"],
    )


async def read(path: pathlib.Path, **options: object) -> str:
    chunks = [chunk async for chunk in read_log(path, LogOptions(**options), lambda: False)]  # type: ignore[arg-type]
    return b"".join(chunks).decode()


async def test_what_a_request_wants(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "0.log"
    path.write_bytes(line(1, "one") + line(2, "tw", tag="P") + line(2, "o") + line(3, "three", stream="stderr"))
    assert await read(path) == "one\ntwo\nthree\n"
    assert await read(path, tail_lines=1) == "three\n"
    assert await read(path, tail_lines=0) == ""
    assert await read(path, limit_bytes=5) == "one\nt"
    assert await read(path, since="2026-01-01T00:00:02.500000Z") == "three\n"
    assert await read(path, stream="stderr") == "three\n"
    stamped = await read(path, timestamps=True, tail_lines=3)
    assert stamped == "2026-01-01T00:00:02.000000000Z two\n2026-01-01T00:00:03.000000000Z three\n"


async def test_following_goes_through_a_rotation_and_ends_with_the_container(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "0.log"
    path.write_bytes(line(1, "one"))
    running, ended = [True], asyncio.Event()
    chunks = read_log(path, LogOptions(follow=True), lambda: running[0], ended)
    assert await anext(chunks) == b"one\n"
    with path.open("ab") as file:
        file.write(line(2, "two"))
    assert await anext(chunks) == b"two\n"
    path.rename(tmp_path / "0.log.1")
    path.write_bytes(line(3, "three"))
    assert await anext(chunks) == b"three\n"
    with path.open("ab") as file:
        file.write(line(4, "four"))
    running[0] = False
    ended.set()
    assert await anext(chunks) == b"four\n"
    assert [chunk async for chunk in chunks] == []
