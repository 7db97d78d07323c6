"""Which commit a server says it was built from: what its package carries, else what is checked out, else none."""

from __future__ import annotations

import json
import pathlib
import re
import subprocess

import pytest

from tiphys.apiserver.discovery.io import checked_out, load_build
from tiphys.apiserver.discovery.version import NO_COMMIT, BuildInfo, build_info, version_document

ROOT = pathlib.Path(__file__).parents[3]
COMMIT, OTHER = "a" * 40, "0123456789abcdef" * 4
UNFILLED = json.loads((ROOT / "src/tiphys/build.json").read_text())
FILLED = {"commit": OTHER, "date": "2026-03-01T00:30:00+01:00", "tree_state": "archive"}


@pytest.mark.parametrize(
    ("described", "found", "expected"),
    [
        (FILLED, COMMIT, BuildInfo(commit=OTHER, date="2026-02-28T23:30:00Z", tree_state="archive")),
        (UNFILLED, COMMIT, BuildInfo(commit=COMMIT)),
        (UNFILLED, "", BuildInfo()),
        (UNFILLED, "not a commit", BuildInfo()),
    ],
)
def test_what_is_known_of_a_build(described: dict[str, str], found: str, expected: BuildInfo) -> None:
    assert build_info(described, found) == expected


@pytest.mark.parametrize("build", [BuildInfo(), build_info(FILLED, "")])
def test_every_version_is_well_formed(build: BuildInfo) -> None:
    found = json.loads(version_document(build).body)
    assert re.fullmatch(r"[0-9a-f]{40,64}", found["gitCommit"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", found["buildDate"])
    assert (found["gitCommit"] == NO_COMMIT) == (found["buildDate"] == "1970-01-01T00:00:00Z")


def _repository(directory: pathlib.Path, **files: str) -> pathlib.Path:
    for name, text in files.items():
        path = directory / ".git" / name.replace("__", "/").replace("_", "-")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return directory


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"HEAD": COMMIT}, COMMIT),
        ({"HEAD": "ref: refs/heads/main", "refs__heads__main": COMMIT}, COMMIT),
        ({"HEAD": "ref: refs/heads/main", "packed_refs": f"# sorted\n{OTHER} refs/heads/x\n{COMMIT} refs/heads/main"},
         COMMIT),
        ({"HEAD": "ref: refs/heads/new", "packed_refs": "# sorted"}, ""),
        ({"HEAD": "ref: refs/heads/new"}, ""),
        ({"HEAD": "nonsense"}, ""),
        ({}, ""),
    ],
)  # fmt: skip
def test_the_commit_of_a_checkout(tmp_path: pathlib.Path, files: dict[str, str], expected: str) -> None:
    assert checked_out(_repository(tmp_path, **files)) == expected


def test_the_commit_of_a_worktree(tmp_path: pathlib.Path) -> None:
    _repository(tmp_path / "main", refs__heads__side=COMMIT, worktrees__w__HEAD="ref: refs/heads/side")
    (tmp_path / "main/.git/worktrees/w/commondir").write_text("../..\n")
    (tmp_path / "w").mkdir()
    (tmp_path / "w/.git").write_text("gitdir: ../main/.git/worktrees/w\n")
    assert checked_out(tmp_path / "w") == COMMIT


def test_this_server_knows_the_commit_it_was_checked_out_at() -> None:
    told = subprocess.run(("git", "-C", str(ROOT), "rev-parse", "HEAD"), capture_output=True, text=True, check=False)
    if told.returncode:
        pytest.skip("not in a git checkout")
    assert load_build().commit == told.stdout.strip()
