"""Which version of the Kubernetes API this server speaks: /version, and the version clients compare with their own."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from tiphys.apiserver.discovery.document import Document, indented_document

MAJOR, MINOR, PATCH = "1", "37", "0"
COMPATIBLE_MINOR = "36"
# What git writes where there is no commit, and the time from which nothing was built.
NO_COMMIT = "0" * 40
NO_DATE = "1970-01-01T00:00:00Z"
_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildInfo:
    """What is known of the build; `date` is RFC 3339 in UTC, `tree_state` says whether the files are those of the
    commit: clean, dirty, archive, or "" when nobody looked."""

    version: str = ""
    commit: str = NO_COMMIT
    date: str = NO_DATE
    tree_state: str = ""


def is_commit(text: str) -> bool:
    return _COMMIT.fullmatch(text) is not None


def build_info(described: Mapping[str, str], checked_out: str) -> BuildInfo:
    """`described` is filled in when a package or an archive is made; else the commit that is checked out, if any, is
    what is known. The date is the commit's: the same files make the same package."""
    if is_commit(described["commit"]):
        date = datetime.fromisoformat(described["date"]).astimezone(UTC)
        return BuildInfo(
            commit=described["commit"],
            date=date.strftime("%Y-%m-%dT%H:%M:%SZ"),
            tree_state=described["tree_state"],
        )
    return BuildInfo(commit=checked_out) if is_commit(checked_out) else BuildInfo()


def git_version(build: BuildInfo) -> str:
    """A semantic version that every client parses: `v1.37.0+tiphys`, with this project's own version behind."""
    suffix = f".{build.version}" if build.version else ""
    return f"v{MAJOR}.{MINOR}.{PATCH}+tiphys{suffix}"


def version_document(build: BuildInfo) -> Document:
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return indented_document(
        {
            "major": MAJOR,
            "minor": MINOR,
            "emulationMajor": MAJOR,
            "emulationMinor": MINOR,
            "minCompatibilityMajor": MAJOR,
            "minCompatibilityMinor": COMPATIBLE_MINOR,
            "gitVersion": git_version(build),
            "gitCommit": build.commit,
            "gitTreeState": build.tree_state,
            "buildDate": build.date,
            "goVersion": f"python{sys.version_info.major}.{sys.version_info.minor}",
            "compiler": sys.implementation.name,
            "platform": f"{sys.platform}/{machine}",
        }
    )
