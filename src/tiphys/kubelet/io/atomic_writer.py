"""Writes the files of a volume so that a reader sees either all of the old or all of the new ones.

The files are in a directory of their own, named after the moment; `..data` is a symlink to it that is replaced by a
rename; what containers see are symlinks through `..data`. Nothing is written when nothing has changed.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import time
from collections.abc import Sequence

from tiphys.kubelet.volumes.payload import VolumeFile

DATA = "..data"
DATA_NEW = "..data_tmp"
GROUP_READS = 0o440
GROUP_ENTERS = 0o110


def write_files(target: str, files: Sequence[VolumeFile], fs_group: int | None) -> bool:
    """Make a directory hold exactly these files. Returns whether anything had to be written."""
    current = _current(target)
    if current is not None and _holds(os.path.join(target, current), files, fs_group):
        _link_names(target, files)
        _sweep(target, files, current)
        return False
    fresh = tempfile.mkdtemp(prefix=time.strftime("..%Y_%m_%d_%H_%M_%S.", time.gmtime()), dir=target)
    _fill(fresh, files, fs_group)
    name = os.path.basename(fresh)
    new_link = os.path.join(target, DATA_NEW)
    if os.path.lexists(new_link):
        os.unlink(new_link)
    os.symlink(name, new_link)
    os.rename(new_link, os.path.join(target, DATA))
    _link_names(target, files)
    _sweep(target, files, name)
    return True


def _current(target: str) -> str | None:
    """The name of the directory in use."""
    try:
        name = os.readlink(os.path.join(target, DATA))
    except OSError:
        return None
    return name if os.path.isdir(os.path.join(target, name)) else None


def _modes(file: VolumeFile, fs_group: int | None) -> int:
    return file.mode | (GROUP_READS if fs_group is not None else 0)


def _holds(directory: str, files: Sequence[VolumeFile], fs_group: int | None) -> bool:
    """Whether the directory has exactly these files with these contents, modes and owners."""
    present: set[str] = set()
    for root, _, names in os.walk(directory):
        present.update(os.path.relpath(os.path.join(root, name), directory) for name in names)
    if present != {file.path for file in files}:
        return False
    for file in files:
        path = os.path.join(directory, file.path)
        found = os.lstat(path)
        if not stat.S_ISREG(found.st_mode) or stat.S_IMODE(found.st_mode) != _modes(file, fs_group):
            return False
        if file.user is not None and found.st_uid != file.user:
            return False
        if fs_group is not None and found.st_gid != fs_group:
            return False
        with open(path, "rb") as content:
            if content.read() != file.data:
                return False
    return True


def _fill(directory: str, files: Sequence[VolumeFile], fs_group: int | None) -> None:
    _own_directory(directory, fs_group)
    for file in files:
        folder = directory
        for part in file.path.split("/")[:-1]:
            folder = os.path.join(folder, part)
            if not os.path.isdir(folder):
                os.mkdir(folder)
                _own_directory(folder, fs_group)
        path = os.path.join(directory, file.path)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as content:
            content.write(file.data)
            if file.user is not None or fs_group is not None:
                os.fchown(descriptor, -1 if file.user is None else file.user, -1 if fs_group is None else fs_group)
            os.fchmod(descriptor, _modes(file, fs_group))


def _own_directory(path: str, fs_group: int | None) -> None:
    if fs_group is not None:
        os.chown(path, -1, fs_group)
        os.chmod(path, 0o755 | GROUP_READS | GROUP_ENTERS | stat.S_ISGID)
    else:
        os.chmod(path, 0o755)


def _first_names(files: Sequence[VolumeFile]) -> set[str]:
    return {file.path.split("/")[0] for file in files}


def _link_names(target: str, files: Sequence[VolumeFile]) -> None:
    for name in sorted(_first_names(files)):
        link = os.path.join(target, name)
        wanted = os.path.join(DATA, name)
        if os.path.islink(link) and os.readlink(link) == wanted:
            continue
        if os.path.lexists(link):
            _remove(link)
        os.symlink(wanted, link)


def _sweep(target: str, files: Sequence[VolumeFile], current: str) -> None:
    """Remove names that are no more, and directories of earlier moments."""
    keep = {*_first_names(files), DATA, current}
    for name in os.listdir(target):
        if name not in keep:
            _remove(os.path.join(target, name))


def _remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        os.unlink(path)
