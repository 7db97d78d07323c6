"""The atomic writer against a dictionary: whatever was written before, a reader sees the last set of files and no
other."""

from __future__ import annotations

import os
import stat
import tempfile

from hypothesis import given, settings
from hypothesis import strategies as st

from tiphys.kubelet.io.atomic_writer import write_files
from tiphys.kubelet.volumes.payload import VolumeFile

NAMES = st.sampled_from(["a", "b", "c", "dir/a", "dir/b", "dir/deep/c", ".hidden"])
CONTENTS = st.dictionaries(NAMES, st.tuples(st.binary(max_size=8), st.sampled_from([0o400, 0o644, 0o755])), max_size=5)


def seen(directory: str) -> dict[str, tuple[bytes, int]]:
    """What a container sees: everything but the writer's own names, through the symlinks."""
    found = {}
    for name in os.listdir(directory):
        if name.startswith(".."):
            continue
        path = os.path.join(directory, name)
        for root, _, files in os.walk(path, followlinks=True):
            for file in files:
                full = os.path.join(root, file)
                found[os.path.relpath(full, directory)] = read(full)
        if not os.path.isdir(path):
            found[name] = read(path)
    return found


def read(path: str) -> tuple[bytes, int]:
    with open(path, "rb") as content:
        return content.read(), stat.S_IMODE(os.stat(path).st_mode)


@settings(max_examples=60)
@given(st.lists(CONTENTS, min_size=1, max_size=5))
def test_the_last_written_set_is_what_is_there(history: list[dict[str, tuple[bytes, int]]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        previous: dict[str, tuple[bytes, int]] | None = None
        for contents in history:
            files = [VolumeFile(path=path, data=data, mode=mode) for path, (data, mode) in contents.items()]
            assert write_files(directory, files, None) == (contents != previous)
            assert seen(directory) == contents
            hidden = [name for name in os.listdir(directory) if name.startswith("..")]
            assert len(hidden) == 2  # ..data and the one directory it points to
            previous = contents


@settings(max_examples=30)
@given(CONTENTS, CONTENTS, st.sampled_from(["before rename", "after rename"]))
def test_a_writer_that_died_half_way_leaves_nothing_behind(
    first: dict[str, tuple[bytes, int]], second: dict[str, tuple[bytes, int]], moment: str
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        write_files(directory, [VolumeFile(path=p, data=d, mode=m) for p, (d, m) in first.items()], None)
        half = os.path.join(directory, "..2026_01_01_00_00_00.half")
        os.mkdir(half)
        if moment == "before rename":
            os.symlink(os.path.basename(half), os.path.join(directory, "..data_tmp"))
        else:
            os.unlink(os.path.join(directory, "..data"))
            os.symlink(os.path.basename(half), os.path.join(directory, "..data"))
        write_files(directory, [VolumeFile(path=p, data=d, mode=m) for p, (d, m) in second.items()], None)
        assert seen(directory) == second
        assert len([name for name in os.listdir(directory) if name.startswith("..")]) == 2
