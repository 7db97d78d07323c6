"""A disk that is full, or cannot be written: clear errors, nothing lost, and on it goes when there is room again."""

import asyncio
import os
import subprocess
import sys

import pytest

from tiphys.aio.clock import SystemClock
from tiphys.store.drivers.sqlite import SqliteStore
from tiphys.store.interface import StoreUnavailable

SCRIPT = """
import asyncio, resource, sys
from tiphys.aio.clock import SystemClock
from tiphys.store.drivers.sqlite import SqliteStore
from tiphys.store.interface import StoreUnavailable

async def main(path):
    store = SqliteStore(path, clock=SystemClock())
    await store.start()
    before = await store.create("/before", b"1")
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
    written = {"/before": before}
    failures = 0
    for number in range(40):
        try:
            written[f"/{number}"] = await store.create(f"/{number}", b"x" * 20_000)
        except StoreUnavailable as error:
            failures += 1
            assert str(error).startswith(f"cannot write {path}: "), error
    assert failures and len(written) > 1
    assert {i.key: i.mod_revision for i in (await store.range("")).items} == written
    try:
        await store.create("/still", b"x" * 20_000)
        raise SystemExit("the disk is full")
    except StoreUnavailable:
        pass
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    written["/after"] = await store.create("/after", b"x" * 20_000)
    assert written["/after"] == store.revision == len(written) + 1
    await store.close()
    store = SqliteStore(path, clock=SystemClock())
    await store.start()
    assert {i.key: i.mod_revision for i in (await store.range("")).items} == written
    await store.close()

asyncio.run(main(sys.argv[1]))
"""


def test_a_file_that_may_not_grow(tmp_path):
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "state.db")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr


def test_a_file_that_may_not_be_written(tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root may write every file")
    path = tmp_path / "state.db"
    path.touch(0o400)
    with pytest.raises(StoreUnavailable, match="Permission denied"):
        asyncio.run(SqliteStore(path, clock=SystemClock()).start())
