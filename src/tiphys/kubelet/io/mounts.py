"""Sets up, refreshes and takes down the volumes of pods on this host, as their plans say.

Layout, the kubelet's own: ROOT/pods/UID/volumes/PLUGIN/NAME, sub paths under ROOT/pods/UID/volume-subpaths.
Everything may be done again after a restart: what is there already is kept. All file work happens in a thread; per
pod one call at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import stat
from collections.abc import Iterator, Mapping, Sequence

from tiphys.kinds.types import core_v1
from tiphys.kubelet.io.atomic_writer import write_files
from tiphys.kubelet.io.mounting import LinuxMounter, Mounter
from tiphys.kubelet.volumes.plan import VolumeKind, VolumePlan, failed_mount_message
from tiphys.kubelet.volumes.sources import VolumeError

OWNER_AND_GROUP = 0o660
GROUP_ENTERS = 0o110


class MountError(VolumeError):
    """A volume could not be set up. The text is the message of the FailedMount event."""

    def __init__(self, volume_name: str, error: Exception) -> None:
        super().__init__(failed_mount_message(volume_name, VolumeError(str(error))))
        self.volume_name = volume_name


class VolumeHost:
    """The volumes below one root directory. `mounter` does what needs the kernel."""

    def __init__(self, root_dir: str, mounter: Mounter | None = None) -> None:
        self.root_dir = os.path.realpath(root_dir)
        self._mounter: Mounter = mounter or LinuxMounter()
        self._busy: dict[str, asyncio.Lock] = {}

    def pod_dir(self, pod_uid: str) -> str:
        return os.path.join(self.root_dir, "pods", pod_uid)

    def volume_dir(self, pod_uid: str, plan: VolumePlan) -> str:
        """Where a volume is on this host; "" for one that the runtime mounts itself."""
        if plan.kind is VolumeKind.HOST_PATH:
            return plan.host_path
        if plan.kind is VolumeKind.IMAGE:
            return ""
        return os.path.join(self.pod_dir(pod_uid), "volumes", plan.plugin, plan.name)

    def pods_on_disk(self) -> list[str]:
        """The uids of all pods that have a directory here, to find those that nobody knows any more."""
        try:
            return sorted(os.listdir(os.path.join(self.root_dir, "pods")))
        except FileNotFoundError:
            return []

    async def setup(self, pod: core_v1.Pod, plans: Sequence[VolumePlan]) -> dict[str, str]:
        """Set up all volumes of a pod; their host paths by name. MountError for the first that fails."""
        uid = pod.metadata.uid or ""
        async with self._one_at_a_time(uid):
            return await asyncio.to_thread(self._setup, uid, plans)

    async def refresh(self, pod: core_v1.Pod, plans: Sequence[VolumePlan]) -> list[str]:
        """Bring the files of volumes up to date; the names of those that had to be written. MountError."""
        uid = pod.metadata.uid or ""
        async with self._one_at_a_time(uid):
            return await asyncio.to_thread(self._refresh, uid, plans)

    async def teardown(self, pod_uid: str) -> None:
        """Take down the volumes of a pod, whichever they were. Safe to call twice. OSError when something is in use."""
        async with self._one_at_a_time(pod_uid):
            await asyncio.to_thread(self._teardown, pod_uid)
        self._busy.pop(pod_uid, None)

    async def remove_pod_dir(self, pod_uid: str) -> None:
        """Remove all that is left of a pod on this host, its volumes too."""
        await self.teardown(pod_uid)
        await asyncio.to_thread(shutil.rmtree, self.pod_dir(pod_uid), ignore_errors=True)

    async def prepare_sub_path(
        self, pod_uid: str, volume_name: str, volume_path: str, container_name: str, mount_index: int, sub_path: str
    ) -> str:
        """The host path to mount into a container for a sub path of a volume (see `mount_paths.resolve_sub_path`).
        Missing directories are made. VolumeError when the path leads out of the volume."""
        target = os.path.join(self.pod_dir(pod_uid), "volume-subpaths", volume_name, container_name, str(mount_index))
        async with self._one_at_a_time(pod_uid):
            return await asyncio.to_thread(self._prepare_sub_path, volume_path, sub_path, target)

    def _one_at_a_time(self, pod_uid: str) -> asyncio.Lock:
        return self._busy.setdefault(pod_uid, asyncio.Lock())

    # In a thread

    def _setup(self, uid: str, plans: Sequence[VolumePlan]) -> dict[str, str]:
        paths: dict[str, str] = {}
        for plan in plans:
            try:
                self._setup_one(uid, plan)
            except (OSError, VolumeError) as error:
                raise MountError(plan.name, error) from error
            paths[plan.name] = self.volume_dir(uid, plan)
        return paths

    def _setup_one(self, uid: str, plan: VolumePlan) -> None:
        path = self.volume_dir(uid, plan)
        if plan.kind is VolumeKind.FILES:
            os.makedirs(path, 0o750, exist_ok=True)
            if plan.in_memory and not self._is_mount(path):
                self._mounter.tmpfs(path, 0o1777, None)
            if not plan.in_memory:
                os.chmod(path, 0o777)
            write_files(path, plan.files, plan.fs_group)
            self._own_root(path, plan)
        elif plan.kind is VolumeKind.HOST_PATH:
            _check_host_path(plan.host_path, plan.host_path_type)
        elif plan.kind is not VolumeKind.IMAGE:
            self._setup_empty(uid, plan, path)

    def _setup_empty(self, uid: str, plan: VolumePlan, path: str) -> None:
        """An emptyDir. A marker says that it was finished once, so that a restart changes nothing in it."""
        marker = os.path.join(self.pod_dir(uid), "plugins", plan.plugin, plan.name, "ready")
        on_disk = plan.kind is VolumeKind.DIRECTORY
        if os.path.exists(marker) and os.path.isdir(path) and (on_disk or self._is_mount(path)):
            return
        os.makedirs(path, 0o750, exist_ok=True)
        if not on_disk and not self._is_mount(path):
            if plan.kind is VolumeKind.TMPFS:
                self._mounter.tmpfs(path, plan.mode, plan.size_bytes)
            else:
                self._mounter.huge_pages(path, plan.page_size_bytes or 0)
        os.chmod(path, plan.mode)
        if plan.fs_group is not None:
            _give_to_group(path, plan.fs_group, plan.fs_group_on_root_mismatch)
        os.makedirs(os.path.dirname(marker), 0o750, exist_ok=True)
        with open(marker, "w", encoding="ascii"):
            pass

    @staticmethod
    def _own_root(path: str, plan: VolumePlan) -> None:
        if plan.fs_group is not None and os.stat(path).st_gid != plan.fs_group:
            os.chown(path, -1, plan.fs_group)
            os.chmod(path, stat.S_IMODE(os.stat(path).st_mode) | stat.S_ISGID)

    def _refresh(self, uid: str, plans: Sequence[VolumePlan]) -> list[str]:
        changed = []
        for plan in plans:
            if plan.kind is not VolumeKind.FILES:
                continue
            try:
                if write_files(self.volume_dir(uid, plan), plan.files, plan.fs_group):
                    changed.append(plan.name)
            except OSError as error:
                raise MountError(plan.name, error) from error
        return changed

    def _teardown(self, uid: str) -> None:
        pod_dir = self.pod_dir(uid)
        owned = [os.path.join(pod_dir, name) for name in ("volume-subpaths", "volumes")]
        for directory in owned:
            for point in self._mounter.mounts_below(directory):
                self._mounter.unmount(point)
        for directory in owned:
            left = self._mounter.mounts_below(directory)
            if left:
                raise OSError(f"still mounted: {', '.join(left)}")
            if os.path.isdir(directory):
                shutil.rmtree(directory)
        plugins = os.path.join(pod_dir, "plugins")
        if os.path.isdir(plugins):
            shutil.rmtree(plugins)

    def _is_mount(self, path: str) -> bool:
        return path in self._mounter.mounts_below(path)

    def _prepare_sub_path(self, volume_path: str, sub_path: str, target: str) -> str:
        volume = os.path.realpath(volume_path)
        real = os.path.realpath(os.path.join(volume, sub_path))
        if real != volume and not real.startswith(f"{volume.rstrip('/')}/"):
            raise VolumeError(f"subpath {real!r} not within volume path {volume!r}")
        relative = os.path.relpath(real, volume)
        with _opened_below(volume, [] if relative == "." else relative.split("/")) as descriptor:
            found = os.fstat(descriptor)
            if self._is_mount(target):
                there = os.stat(target)
                if (there.st_dev, there.st_ino) == (found.st_dev, found.st_ino):
                    return target
                self._mounter.unmount(target)
            _make_mount_point(target, stat.S_ISDIR(found.st_mode))
            self._mounter.bind(f"/proc/{os.getpid()}/fd/{descriptor}", target)
        return target


@contextlib.contextmanager
def _opened_below(root: str, parts: Sequence[str]) -> Iterator[int]:
    """The last of `parts`, opened step by step without following any symlink, so that nobody can slip one in. Missing
    directories are made with the mode of the root."""
    mode = stat.S_IMODE(os.stat(root).st_mode)
    current = os.open(root, os.O_PATH | os.O_DIRECTORY)
    try:
        for part in parts:
            try:
                following = os.open(part, os.O_PATH | os.O_NOFOLLOW, dir_fd=current)
            except FileNotFoundError:
                os.mkdir(part, dir_fd=current)
                following = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=current)
                os.fchmod(following, mode)
            os.close(current)
            current = following
            if stat.S_ISLNK(os.fstat(current).st_mode):
                raise VolumeError(f"subpath {'/'.join(parts)!r} has become a symbolic link")
        yield current
    finally:
        os.close(current)


def _make_mount_point(target: str, directory: bool) -> None:
    """An empty directory, or an empty file, to mount on."""
    os.makedirs(os.path.dirname(target), 0o750, exist_ok=True)
    if os.path.isdir(target) != directory and os.path.lexists(target):
        os.rmdir(target) if os.path.isdir(target) else os.unlink(target)
    if directory:
        os.makedirs(target, 0o750, exist_ok=True)
    else:
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY | os.O_NOFOLLOW, 0o640))


def _give_to_group(path: str, group: int, on_root_mismatch: bool) -> None:
    """Everything belongs to the group, which may write; new entries inherit it."""
    root = os.stat(path)
    wanted = OWNER_AND_GROUP | GROUP_ENTERS | stat.S_ISGID
    if on_root_mismatch and root.st_gid == group and root.st_mode & wanted == wanted:
        return
    for folder, _, names in os.walk(path, topdown=False):
        for name in names:
            file = os.path.join(folder, name)
            os.lchown(file, -1, group)
            if not os.path.islink(file):
                os.chmod(file, stat.S_IMODE(os.stat(file).st_mode) | OWNER_AND_GROUP)
        os.chown(folder, -1, group)
        os.chmod(folder, stat.S_IMODE(os.stat(folder).st_mode) | wanted)


_TYPE_CHECKS: Mapping[str, tuple[str, str]] = {
    "Directory": ("S_ISDIR", "a directory"),
    "DirectoryOrCreate": ("S_ISDIR", "a directory"),
    "File": ("S_ISREG", "a file"),
    "FileOrCreate": ("S_ISREG", "a file"),
    "Socket": ("S_ISSOCK", "a socket file"),
    "CharDevice": ("S_ISCHR", "a character device"),
    "BlockDevice": ("S_ISBLK", "a block device"),
}


def _check_host_path(path: str, path_type: str) -> None:
    """Make what `...OrCreate` asks for; VolumeError when there is something else than asked for."""
    if not path_type:
        return
    if path_type not in _TYPE_CHECKS:
        raise VolumeError(f"{path_type} is an invalid volume type")
    if path_type == "DirectoryOrCreate":
        with contextlib.suppress(FileExistsError):
            os.makedirs(path, 0o755)
    elif path_type == "FileOrCreate" and not os.path.lexists(path):
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o644))
    test, wanted = _TYPE_CHECKS[path_type]
    try:
        mode = os.stat(path).st_mode
    except OSError:
        mode = 0
    if not getattr(stat, test)(mode):
        raise VolumeError(f"hostPath type check failed: {path} is not {wanted}")
