"""References of images: `busybox`, `registry.example.com:5000/team/app:v1`, `app@sha256:...`."""

from __future__ import annotations

import re

# Far more than a registry takes; longer text is not looked at.
LONGEST_REFERENCE = 1024

_REFERENCE = re.compile(
    r"^(?:(?P<domain>(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*"
    r"|\[[a-fA-F0-9:]+\])(?::[0-9]+)?)/)?"
    r"(?P<path>[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>[A-Za-z][A-Za-z0-9]*:[0-9a-fA-F]{32,}))?$",
    re.ASCII,
)


def parts(text: str) -> tuple[str, str, str, str] | None:
    """Domain, path, tag and digest, "" where one is missing; None for what is no reference."""
    match = _REFERENCE.match(text) if len(text) <= LONGEST_REFERENCE else None
    if match is None:
        return None
    domain, path, tag, digest = (found or "" for found in match.group("domain", "path", "tag", "digest"))
    return domain, path, tag, digest
