import pytest

from tiphys.aio.clock import VirtualClock
from tiphys.store.drivers.memory import MemoryStore
from tiphys.store.drivers.sqlite import SqliteStore


@pytest.fixture
def clock():
    return VirtualClock()


@pytest.fixture(params=["memory", "sqlite"])
async def store(request, clock, tmp_path):
    """A started store of each driver."""
    if request.param == "memory":
        store = MemoryStore(clock=clock, compaction_interval_seconds=300)
    else:
        store = SqliteStore(tmp_path / "state.db", clock=clock, compaction_interval_seconds=300)
    await store.start()
    yield store
    await store.close()
