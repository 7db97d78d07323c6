"""kill -9 under write load, often, on one file: what was acknowledged is there, revisions never go back."""

import asyncio
import os
import random
import signal
import subprocess
import sys

from tiphys.aio.clock import SystemClock
from tiphys.store.drivers.sqlite import SqliteStore

KILLS = 20

WRITER = """
import asyncio, os, sys
from tiphys.aio.clock import SystemClock
from tiphys.store.drivers.sqlite import SqliteStore

async def main(path, round_number):
    store = SqliteStore(path, clock=SystemClock())
    await store.start()
    os.write(1, b"start %d\\n" % store.revision)

    async def write(writer):
        number = 0
        while True:
            key = f"/w/{round_number}/{writer}/{number}"
            revision = await store.create(key, key.encode())
            os.write(1, b"put %d %s\\n" % (revision, key.encode()))
            if number % 3 == 1:
                revision = await store.update(key, b"updated " + key.encode(), revision)
                os.write(1, b"put %d %s\\n" % (revision, key.encode()))
            if number % 3 == 2:
                revision = await store.delete(key, revision)
                os.write(1, b"gone %d %s\\n" % (revision, key.encode()))
            if number % 50 == 49:
                await store.compact(store.revision - 100 if store.revision > 200 else 1)
            number += 1

    await asyncio.gather(*(write(writer) for writer in range(16)))

asyncio.run(main(sys.argv[1], sys.argv[2]))
"""


def run_and_kill(path, round_number, lines_until_kill):
    """Let a process write until it has acknowledged so many writes, kill it, and give what it had acknowledged."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), str(round_number)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    lines = []
    try:
        for line in process.stdout:
            lines.append(line)
            if len(lines) == lines_until_kill:
                process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    if lines and not lines[-1].endswith(b"\n"):
        lines.pop()
    return [line.decode().split() for line in lines]


async def state_of(path):
    store = SqliteStore(path, clock=SystemClock())
    await store.start()
    result = await store.range("")
    await store.close()
    return store.revision, {item.key: item for item in result.items}


def test_acknowledged_writes_survive_kill_9(tmp_path):
    path = tmp_path / "state.db"
    chance = random.Random(20)
    last_revision = 1
    settled: dict[str, int] = {}
    for round_number in range(KILLS):
        start, *acknowledged = run_and_kill(path, round_number, chance.randrange(2, 600))
        assert int(start[1]) >= last_revision
        last_revision = int(start[1])
        newest: dict[str, tuple[str, int]] = {}
        for outcome, revision, key in acknowledged:
            newest[key] = (outcome, int(revision))
            last_revision = max(last_revision, int(revision))
        revision, items = asyncio.run(state_of(path))
        assert revision >= last_revision
        for key, mod_revision in settled.items():
            assert items[key].mod_revision == mod_revision
        for key, (outcome, mod_revision) in newest.items():
            item = items.get(key)
            if outcome == "gone":
                assert item is None
            elif item is not None and item.mod_revision == mod_revision:
                assert item.value in (key.encode(), b"updated " + key.encode())
            else:  # the next write to the key was under way: durable, but not acknowledged yet
                assert item is None or item.mod_revision > mod_revision
                assert revision > mod_revision
                number = int(key.rpartition("/")[2])
                assert number % 3 == (2 if item is None else 1)
        settled = {key: item.mod_revision for key, item in items.items()}
        last_revision = revision
