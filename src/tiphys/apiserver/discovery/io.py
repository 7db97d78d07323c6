"""Reads what is known of the build: from the description that the package carries, else from the checkout it is in."""

from __future__ import annotations

import pathlib
import pkgutil

import msgspec

import tiphys
from tiphys.apiserver.discovery.version import BuildInfo, build_info, is_commit

_SYMBOLIC = "ref: "


def load_build() -> BuildInfo:
    described = pkgutil.get_data("tiphys", "build.json")
    assert described is not None
    package = pathlib.Path(tiphys.__file__).parent
    return build_info(msgspec.json.decode(described), checked_out(package.parent.parent))


def checked_out(directory: pathlib.Path) -> str:
    """The commit whose files a git checkout began with; "" where there is no checkout."""
    try:
        own = directory / ".git"
        if own.is_file():  # of a worktree: the file says where the rest is
            own = directory / own.read_text().removeprefix("gitdir: ").strip()
        head = (own / "HEAD").read_text().strip()
        if not head.startswith(_SYMBOLIC):
            return head if is_commit(head) else ""
        shared = own / "commondir"
        return _commit_of(own / shared.read_text().strip() if shared.is_file() else own, head.removeprefix(_SYMBOLIC))
    except OSError:
        return ""


def _commit_of(repository: pathlib.Path, reference: str) -> str:
    loose = repository / reference
    if loose.is_file():
        return loose.read_text().strip()
    for line in (repository / "packed-refs").read_text().splitlines():
        commit, _, name = line.partition(" ")
        if name == reference:
            return commit
    return ""
