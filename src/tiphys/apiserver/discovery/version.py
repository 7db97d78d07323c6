"""Which version of the Kubernetes API this server speaks: /version, and the version clients compare with their own."""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass

from tiphys.apiserver.discovery.document import Document, json_document

MAJOR, MINOR, PATCH = "1", "37", "0"


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildInfo:
    """What is known of the build; `date` is RFC 3339."""

    version: str = ""
    commit: str = "unknown"
    date: str = "1970-01-01T00:00:00Z"


def git_version(build: BuildInfo) -> str:
    """A semantic version that every client parses: `v1.37.0+tiphys`, with this project's own version behind."""
    suffix = f".{build.version}" if build.version else ""
    return f"v{MAJOR}.{MINOR}.{PATCH}+tiphys{suffix}"


def version_document(build: BuildInfo) -> Document:
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return json_document(
        {
            "major": MAJOR,
            "minor": MINOR,
            "emulationMajor": MAJOR,
            "emulationMinor": MINOR,
            "minCompatibilityMajor": MAJOR,
            "minCompatibilityMinor": MINOR,
            "gitVersion": git_version(build),
            "gitCommit": build.commit,
            "gitTreeState": "clean",
            "buildDate": build.date,
            "goVersion": f"python{sys.version_info.major}.{sys.version_info.minor}",
            "compiler": sys.implementation.name,
            "platform": f"{sys.platform}/{machine}",
        }
    )
