"""Rewrites links in pages that are shown through the API server's proxy, so that they lead through the proxy again.

A link that begins with a slash, or names the proxied server itself, gets the proxy's path in front. Text between tags,
scripts and relative links stay as they are. Specified in "Access Services Running on Clusters" (proxy URLs).
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

# Which attribute of which element is a link.
_LINKS = {
    "a": ("href",),
    "applet": ("codebase",),
    "area": ("href",),
    "audio": ("src",),
    "base": ("href",),
    "blockquote": ("cite",),
    "body": ("background",),
    "button": ("formaction",),
    "command": ("icon",),
    "del": ("cite",),
    "embed": ("src",),
    "form": ("action",),
    "frame": ("longdesc", "src"),
    "head": ("profile",),
    "html": ("manifest",),
    "iframe": ("longdesc", "src"),
    "img": ("longdesc", "src", "usemap"),
    "input": ("src", "usemap", "formaction"),
    "ins": ("cite",),
    "link": ("href",),
    "object": ("classid", "codebase", "data", "usemap"),
    "q": ("cite",),
    "script": ("src",),
    "source": ("src",),
    "video": ("poster", "src"),
}
_TAG = re.compile(rb"<([a-zA-Z][a-zA-Z0-9]*)((?:\s+[^<>]*?)?)(/?)>", re.DOTALL)
_ATTRIBUTE = re.compile(rb"(\s)([a-zA-Z-]+)(\s*=\s*)(\"[^\"]*\"|'[^']*'|[^\s\"'>]+)", re.DOTALL)


def rewritten_link(link: str, proxy_path: str, host: str) -> str:
    """`proxy_path` is the proxy's own path up to and without the slash before the proxied one; `host` the proxied
    server's `host:port`, with links to others left alone."""
    parts = urlsplit(link)
    if parts.netloc and parts.netloc != host:
        return link
    if not parts.netloc and not link.startswith("/"):
        return link
    return urlunsplit(("", "", proxy_path + (parts.path or "/"), parts.query, parts.fragment))


def rewritten_page(page: bytes, proxy_path: str, host: str) -> bytes:
    """The page with its links rewritten."""

    def tag(match: re.Match[bytes]) -> bytes:
        wanted = _LINKS.get(match.group(1).decode("ascii").lower())
        if wanted is None or not match.group(2):
            return match.group(0)

        def attribute(found: re.Match[bytes]) -> bytes:
            if found.group(2).decode("ascii").lower() not in wanted:
                return found.group(0)
            raw = found.group(4)
            quote = raw[:1] if raw[:1] in (b'"', b"'") else b'"'
            link = raw.strip(b"\"'").decode("utf-8", "surrogateescape")
            new = rewritten_link(link, proxy_path, host).encode("utf-8", "surrogateescape")
            return found.group(1) + found.group(2) + found.group(3) + quote + new + quote

        return b"<" + match.group(1) + _ATTRIBUTE.sub(attribute, match.group(2)) + match.group(3) + b">"

    return _TAG.sub(tag, page)
