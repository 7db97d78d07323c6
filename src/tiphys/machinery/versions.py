"""Names of API versions (`v1`, `v2beta3`) and which of them to prefer.

Specified in "Versions in CustomResourceDefinitions", "Version priority".
"""

from __future__ import annotations

import re
from typing import Any

_KUBE_VERSION = re.compile(r"^v([1-9]\d*)(?:(alpha|beta)([1-9]\d*))?$")
_STABILITY = {None: 2, "beta": 1, "alpha": 0}


def version_rank(version: str) -> tuple[Any, ...]:
    """A sort key that puts the version to prefer first: stable, beta, alpha, each from the highest down; then other
    words."""
    match = _KUBE_VERSION.match(version)
    if match is None:
        return (1, version)
    major, stability, minor = match.groups()
    return (0, -_STABILITY[stability], -int(major), -int(minor or 0))
