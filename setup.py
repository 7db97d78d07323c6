"""Packages carry the id of the commit they were built from, which `/version` of the API server tells.

Everything else about the package is in pyproject.toml. What is built from an archive or an sdist keeps the id that came
with it.
"""

from __future__ import annotations

import json
import pathlib
import subprocess
from typing import Any

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

ROOT = pathlib.Path(__file__).resolve().parent
BUILD = "tiphys/build.json"


def _git(*words: str) -> str:
    done = subprocess.run(("git", "-C", str(ROOT), *words), capture_output=True, text=True, check=True)
    return done.stdout.strip()


def build_description() -> dict[str, str] | None:
    """Of the checkout that this file is in; None when it is in none."""
    try:
        if pathlib.Path(_git("rev-parse", "--show-toplevel")) != ROOT:
            return None
        changed = _git("status", "--porcelain", "--untracked-files=no")
        return {
            "commit": _git("rev-parse", "HEAD"),
            "date": _git("show", "--no-patch", "--format=%cI", "HEAD"),
            "tree_state": "dirty" if changed else "clean",
        }
    except (OSError, subprocess.CalledProcessError):
        return None


def _describe(path: pathlib.Path) -> None:
    found = build_description()
    if found is not None:
        path.unlink(missing_ok=True)  # it may be a link to the source
        path.write_text(json.dumps(found) + "\n")


class BuildWithCommit(build_py):
    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            _describe(pathlib.Path(self.build_lib) / BUILD)


class SourcesWithCommit(sdist):
    def make_release_tree(self, base_dir: str, files: Any) -> None:
        super().make_release_tree(base_dir, files)
        _describe(pathlib.Path(base_dir) / "src" / BUILD)


setup(cmdclass={"build_py": BuildWithCommit, "sdist": SourcesWithCommit})
