"""Files with environment variables: how they are written, and how they are read out of a volume."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiphys.kinds import codec
from tiphys.kinds.types import core_v1
from tiphys.kubelet.env_files import EnvFile, needed_files, parse
from tiphys.kubelet.io.files import text_below


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("A='1'", {"A": "1"}),
        ("\n  # A='0'\n\n  A = '1'  \r\nB=''\n", {"A": "1", "B": ""}),
        ("A='one\n# two'\nB=' \\n $C '", {"A": "one\n# two", "B": " \\n $C "}),
        ("A='1'\nA='2'", {"A": "2"}),
    ],
)
def test_what_is_understood(text: str, expected: dict[str, str]) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("A=1", 1),
        ('A="1"', 1),
        ("\nA='1''2'", 2),
        ("A='1'$B", 1),
        ("A='1", 1),
        ("A", 1),
        ("='1'", 1),
        ("A='1\n2'\nexport B", 3),
        ("A='1' B='2'", 1),
    ],
)
def test_what_is_not(text: str, line: int) -> None:
    with pytest.raises(ValueError, match=f"^line {line} is not of the form NAME='value'$"):
        parse(text)


NAMES = st.text("ABCXYZ_019", min_size=1, max_size=5)
VALUES = st.text(st.characters(codec="utf-8", exclude_characters="'\0\r"), max_size=20)


@given(st.lists(st.tuples(NAMES, VALUES), max_size=5))
def test_it_means_what_a_shell_takes_it_for(pairs: list[tuple[str, str]]) -> None:
    text = "".join(f"{name}='{value}'\n" for name, value in pairs)
    assert parse(text) == dict(word.split("=", 1) for word in shlex.split(text))


def test_each_file_is_needed_once() -> None:
    def variable(name: str, path: str) -> dict[str, object]:
        return {"name": name, "valueFrom": {"fileKeyRef": {"volumeName": "v", "path": path, "key": name}}}

    env = [variable("A", "a"), variable("B", "b"), variable("C", "a"), {"name": "D", "value": "d"}]
    container = codec.convert({"name": "c", "env": env}, core_v1.Container)
    assert needed_files(container) == [EnvFile("v", "a"), EnvFile("v", "b")]


def test_files_are_read_within_their_volume(tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    (volume / "sub").mkdir(parents=True)
    (volume / "sub" / "env").write_bytes(b"A='\xff'")
    (volume / "link").symlink_to("sub/env")
    (tmp_path / "secret").write_text("x")
    (volume / "out").symlink_to(tmp_path / "secret")
    os.mkfifo(volume / "fifo")
    assert text_below(str(volume), "sub/env", 10) == text_below(str(volume), "link", 10) == "A='\udcff'"
    assert text_below(str(volume), "sub/none", 10) is None
    assert text_below(str(volume), "none/env", 10) is None
    for path in ("out", "../secret", "fifo", "sub"):
        with pytest.raises(OSError):
            text_below(str(volume), path, 10)
    with pytest.raises(OSError, match="larger than 3 bytes"):
        text_below(str(volume), "sub/env", 3)
