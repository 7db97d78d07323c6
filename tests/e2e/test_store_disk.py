"""The store on a real file system that is full, or mounted for reading only."""

import os
import shutil
import subprocess

import pytest

from tiphys.aio.clock import SystemClock
from tiphys.store.drivers.sqlite import SqliteStore
from tiphys.store.interface import StoreUnavailable


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MiB."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("needs root to mount a small file system")
    directory = tmp_path / "disk"
    directory.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tiphys-test", directory], check=True)
    yield directory
    subprocess.run(["umount", directory], check=True)


async def keys(store):
    return {item.key: item.mod_revision for item in (await store.range("")).items}


@pytest.mark.root
async def test_a_full_disk(small_disk):
    path = small_disk / "state.db"
    store = SqliteStore(path, clock=SystemClock())
    await store.start()
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 400_000)
    written = {}
    for number in range(60):
        try:
            written[f"/{number}"] = await store.create(f"/{number}", b"x" * 20_000)
        except StoreUnavailable as error:
            assert str(error) == f"cannot write {path}: database or disk is full (SQLITE_FULL): make room on its disk"
            break
    assert 0 < len(written) < 60
    assert await keys(store) == written
    ballast.unlink()
    written["/after"] = await store.create("/after", b"x" * 20_000)
    await store.close()
    store = SqliteStore(path, clock=SystemClock())
    await store.start()
    assert await keys(store) == written
    assert store.revision == len(written) + 1
    await store.close()


def remount(directory, how):
    subprocess.run(["mount", "-o", f"remount,{how}", directory], check=True)


@pytest.mark.root
async def test_a_disk_that_can_only_be_read(small_disk):
    path = small_disk / "state.db"
    store = SqliteStore(path, clock=SystemClock())
    await store.start()
    await store.create("/a", b"1")
    await store.close()
    remount(small_disk, "ro")
    with pytest.raises(StoreUnavailable) as raised:
        await SqliteStore(path, clock=SystemClock()).start()
    assert str(raised.value).startswith(f"cannot open {path}: [Errno 30] Read-only file system")
    remount(small_disk, "rw")
    store = SqliteStore(path, clock=SystemClock())
    await store.start()
    assert await keys(store) == {"/a": 2}
    await store.close()
