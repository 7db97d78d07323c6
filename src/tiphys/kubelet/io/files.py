"""The small files of a pod on its node: hosts, termination messages, log directories. Blocking, short calls."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

from tiphys.kubelet import interface
from tiphys.kubelet.interface import ContainerRecord

MAXIMUM_MESSAGE_BYTES = 4096
MAXIMUM_LOG_MESSAGE_BYTES = 2048
MAXIMUM_LOG_MESSAGE_LINES = 80


def write_atomically(path: str, text: str, mode: int = 0o644) -> None:
    """Replace the file unless it says that already. A file that is bind-mounted is written in place."""
    file = Path(path)
    try:
        if file.read_text() == text:
            return
    except FileNotFoundError:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
    with open(path, "w", encoding="utf-8") as opened:
        opened.write(text)
    os.chmod(path, mode)


def make_file(path: str, mode: int = 0o666) -> None:
    """An empty file that any user of a container may write."""
    Path(path).parent.mkdir(parents=True, exist_ok=True, mode=0o750)
    with open(path, "w", encoding="utf-8"):
        pass
    os.chmod(path, mode)


def make_directory(path: str, mode: int = 0o755) -> None:
    Path(path).mkdir(parents=True, exist_ok=True, mode=mode)


def remove_tree(path: str) -> None:
    shutil.rmtree(path, ignore_errors=True)


def size_of(path: str) -> int:
    """0 for a file that is not there."""
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0


def names_in(path: str) -> list[str]:
    try:
        return sorted(os.listdir(path))
    except FileNotFoundError:
        return []


def text_below(root: str, path: str, limit_bytes: int) -> str | None:
    """What a container wrote into a file of a volume; None when it is not there. Symlinks are followed within the
    volume alone, and none that appears meanwhile. OSError with the reason why it cannot be read."""
    volume = os.path.realpath(root)
    real = os.path.realpath(os.path.join(volume, path))
    if os.path.commonpath((volume, real)) != volume:
        raise PermissionError(f"{path!r} leads out of the volume")
    current = os.open(volume, os.O_PATH | os.O_DIRECTORY)
    try:
        *directories, name = os.path.relpath(real, volume).split("/")
        for part in directories:
            following = os.open(part, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=current)
            os.close(current)
            current = following
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=current)
    except FileNotFoundError:
        return None
    finally:
        os.close(current)
    with open(file, "rb") as opened:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise OSError(f"{path!r} is no regular file")
        data = opened.read(limit_bytes + 1)
    if len(data) > limit_bytes:
        raise OSError(f"{path!r} is larger than {limit_bytes} bytes")
    return data.decode(errors="surrogateescape")


def termination_message(record: ContainerRecord) -> str:
    """What a container that has ended left as its message: the file, or the end of its log when the policy says so and
    it failed. The runtime's own message (why it could not be started) counts when there is neither."""
    path = record.annotations.get(interface.TERMINATION_MESSAGE_PATH, "")
    host_path = dict(record.mounts).get(path, "")
    text = _end_of(host_path, MAXIMUM_MESSAGE_BYTES, from_start=True) if host_path else ""
    policy = record.annotations.get(interface.TERMINATION_MESSAGE_POLICY, "")
    if not text and policy == "FallbackToLogsOnError" and record.exit_code != 0 and record.log_path:
        text = _log_end(record.log_path)
    return text or record.message


def _end_of(path: str, limit_bytes: int, from_start: bool = False) -> str:
    try:
        with open(path, "rb") as opened:
            if not from_start:
                opened.seek(0, os.SEEK_END)
                opened.seek(max(0, opened.tell() - limit_bytes))
            return opened.read(limit_bytes).decode(errors="replace")
    except OSError:
        return ""


def _log_end(path: str) -> str:
    """The last lines of a CRI log without their times and tags."""
    lines = _end_of(path, 4 * MAXIMUM_LOG_MESSAGE_BYTES).splitlines(keepends=True)[-MAXIMUM_LOG_MESSAGE_LINES:]
    text = ""
    for line in lines:
        words = line.split(" ", 3)
        if len(words) == 4:
            text += words[3] if words[2] == "F" else words[3].rstrip("\n")
    return text.encode()[-MAXIMUM_LOG_MESSAGE_BYTES:].decode(errors="replace")


def remove_logs(directory: str, container: str, attempt: int) -> None:
    """The log of one attempt with its rotated parts."""
    parent = Path(directory) / container
    for file in parent.glob(f"{attempt}.log*"):
        file.unlink(missing_ok=True)
