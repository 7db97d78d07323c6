"""The SQLite file of a store: its format, opening and checking it, appending writes, letting go of what is superseded.

One row a revision, in the order of revisions: writing is appending, no index is kept. The rows up to the compact
revision are what was there then (and leftovers of a compaction that was cut short); the rows after it are all the
history since. All methods belong to one thread. Every fault is StoreUnavailable, with what can be done about it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import zlib
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from tiphys.store.interface import EventType, KeyValue, StoreEvent, StoreUnavailable
from tiphys.store.mvcc import FIRST_REVISION, MvccState, Released, delete_event, put_event

FORMAT = 1
APPLICATION_ID = 0x7469_7068  # "tiph": what `file` and SQLite's tools show

_ROWS_PER_STATEMENT = 256
_TRIM_ROWS = 500
_VACUUM_PAGES = 500
_FREE_PAGES_KEPT = 1024
_CHECKPOINT_PAGES = 2000
_WAL_LIMIT_BYTES = 16 * 1024 * 1024

_SCHEMA = f"""
CREATE TABLE revisions (
    revision INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    value BLOB,
    created INTEGER NOT NULL,
    checksum INTEGER NOT NULL
);
CREATE TABLE compaction (revision INTEGER NOT NULL);
INSERT INTO compaction VALUES ({FIRST_REVISION});
"""

_Row = tuple[int, str, bytes | None, int, int]


def checksum(revision: int, key: str, value: bytes | None) -> int:
    """Over all that a row says, so that bytes which rotted on the disk are found out."""
    return zlib.crc32(value or b"", zlib.crc32(b"%d/%s" % (revision, key.encode())))


def _row(event: StoreEvent) -> _Row:
    kv = event.kv
    value = kv.value if event.type is EventType.PUT else None
    return kv.mod_revision, kv.key, value, kv.create_revision, checksum(kv.mod_revision, kv.key, value)


class SqliteFile:
    """See the module docstring."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock: int | None = None
        self._connection: sqlite3.Connection | None = None
        self._durable_revision = FIRST_REVISION
        self._suspect = False
        self._released: deque[int] = deque()
        self._compact_revision = FIRST_REVISION
        self._tidying = False

    # Opening.

    def open(self) -> MvccState:
        """Lock, check and read the file, which is made when it is not there."""
        try:
            self._take_lock()
            self._connect()
            self._check()
            return self._load()
        except (sqlite3.Error, OSError) as error:
            self.close()
            raise StoreUnavailable(self._describe("cannot open", error)) from error
        except StoreUnavailable:
            self.close()
            raise

    def _take_lock(self) -> None:
        lock_path = self._path.with_name(self._path.name + ".lock")
        self._lock = os.open(lock_path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(self._lock, 32).decode(errors="replace").strip() or "unknown"
            raise StoreUnavailable(f"{self._path} is in use by another process (pid {owner})") from None
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, b"%d\n" % os.getpid(), 0)

    def _connect(self) -> None:
        # Secrets are in it: nobody else may read it, nor what SQLite puts beside it with the same mode.
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
        connection = sqlite3.connect(self._path, isolation_level=None, cached_statements=_ROWS_PER_STATEMENT + 32)
        self._connection = connection
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # counts only before the first table is made
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        connection.execute(f"PRAGMA journal_size_limit = {_WAL_LIMIT_BYTES}")

    def _check(self) -> None:
        connection = self._connected()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > FORMAT:
            raise StoreUnavailable(
                f"{self._path} has format {version}, written by a newer version; "
                f"this one reads formats up to {FORMAT}: use the newer version, or restore a backup that this one made"
            )
        if version == 0:
            (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            if tables:
                raise StoreUnavailable(f"{self._path} is a SQLite database of something else")
            connection.executescript(
                f"BEGIN; PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {FORMAT}; {_SCHEMA} COMMIT;"
            )
        (finding,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if finding != "ok":
            raise self._damaged(finding)

    def _load(self) -> MvccState:
        connection = self._connected()
        (compact_revision,) = connection.execute("SELECT revision FROM compaction").fetchone()
        items: dict[str, KeyValue] = {}
        state: MvccState | None = None
        for revision, key, value, created, stored_checksum in connection.execute(
            "SELECT revision, key, value, created, checksum FROM revisions ORDER BY revision"
        ):
            if stored_checksum != checksum(revision, key, value):
                raise self._damaged(f"the checksum of revision {revision} is wrong")
            if revision <= compact_revision:
                self._load_compacted(items, KeyValue(key, value or b"", created, revision), value is None)
                continue
            if state is None:
                state = MvccState(items.values(), compact_revision)
            if revision != state.revision + 1:
                raise self._damaged(f"revision {state.revision + 1} is missing")
            previous = state.get(key)
            if value is not None:
                state.apply(put_event(key, value, revision, previous))
            elif previous is not None:
                state.apply(delete_event(revision, previous))
            else:
                raise self._damaged(f"revision {revision} deletes a key that is not there")
        if state is None:
            state = MvccState(items.values(), compact_revision)
        self._compact_revision = compact_revision
        self._durable_revision = state.revision
        return state

    def _load_compacted(self, items: dict[str, KeyValue], kv: KeyValue, deleted: bool) -> None:
        previous = items.pop(kv.key, None)
        if previous is not None:
            self._released.append(previous.mod_revision)
        if deleted:
            self._released.append(kv.mod_revision)
        else:
            items[kv.key] = kv

    # Writing.

    def append(self, events: Sequence[StoreEvent]) -> None:
        """Make the events of the next revisions durable, all or none."""
        try:
            if self._suspect:
                self._recover()
            self._insert([_row(event) for event in events])
        except sqlite3.Error as error:
            self._suspect = True
            raise StoreUnavailable(self._describe("cannot write", error)) from error
        self._durable_revision = events[-1].kv.mod_revision

    def _insert(self, rows: Sequence[_Row]) -> None:
        """Whole batches go into few statements: each one gives up the interpreter's lock and has to win it back from a
        busy event loop."""
        connection = self._connected()
        if len(rows) <= _ROWS_PER_STATEMENT:
            self._insert_few(connection, rows)
            return
        connection.execute("BEGIN IMMEDIATE")
        for start in range(0, len(rows), _ROWS_PER_STATEMENT):
            self._insert_few(connection, rows[start : start + _ROWS_PER_STATEMENT])
        connection.execute("COMMIT")

    @staticmethod
    def _insert_few(connection: sqlite3.Connection, rows: Sequence[_Row]) -> None:
        places = ",".join(["(?,?,?,?,?)"] * len(rows))
        connection.execute(
            f"INSERT INTO revisions (revision, key, value, created, checksum) VALUES {places}",
            [field for row in rows for field in row],
        )

    def _recover(self) -> None:
        """After a fault: begin afresh, and make sure that nothing of the failed write is there (its frames may have
        reached the log before the disk reported the fault)."""
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.rollback()
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None
        try:
            self._connect()
        except OSError as error:
            raise sqlite3.OperationalError(str(error)) from error
        self._connected().execute("DELETE FROM revisions WHERE revision > ?", (self._durable_revision,))
        self._suspect = False

    # Compaction.

    def release(self, released: Released) -> None:
        """Rows of these revisions are no longer needed; `tidy` removes them bit by bit."""
        self._compact_revision = released.compact_revision
        self._released.extend(released.revisions)
        self._tidying = True

    @property
    def tidying(self) -> bool:
        """Whether `tidy` has something to do."""
        return self._tidying

    def tidy(self) -> None:
        """Remove some rows or free pages. After a fault the rest waits for the next compaction."""
        try:
            if self._suspect:
                self._recover()
            if self._released:
                self._delete_some()
            else:
                self._tidying = self._shrink()
        except sqlite3.Error as error:
            self._suspect = True
            self._tidying = False
            raise StoreUnavailable(self._describe("cannot compact", error)) from error

    def _delete_some(self) -> None:
        connection = self._connected()
        revisions = [self._released[index] for index in range(min(_TRIM_ROWS, len(self._released)))]
        padded = revisions + revisions[-1:] * (_TRIM_ROWS - len(revisions))
        connection.execute("BEGIN IMMEDIATE")
        self._record_compaction()
        connection.execute(f"DELETE FROM revisions WHERE revision IN ({','.join('?' * _TRIM_ROWS)})", padded)
        connection.execute("COMMIT")
        for _ in revisions:
            self._released.popleft()

    def _record_compaction(self) -> None:
        self._connected().execute("UPDATE compaction SET revision = ?", (self._compact_revision,))

    def _shrink(self) -> bool:
        """Give pages back to the file system, a few at a time, keeping some for what comes; whether there is more to
        do."""
        connection = self._connected()
        self._record_compaction()
        (free_pages,) = connection.execute("PRAGMA freelist_count").fetchone()
        if free_pages > _FREE_PAGES_KEPT:
            pages = min(free_pages - _FREE_PAGES_KEPT, _VACUUM_PAGES)
            connection.execute(f"PRAGMA incremental_vacuum({pages})").fetchall()
            return True
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        return False

    # The end.

    def close(self) -> None:
        """Release everything; safe to call twice."""
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                if self._suspect:
                    self._recover()
                if self._tidying:
                    self._record_compaction()
            with contextlib.suppress(sqlite3.Error):
                self._connected().close()
            self._connection = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _connected(self) -> sqlite3.Connection:
        assert self._connection is not None
        return self._connection

    def _damaged(self, finding: str) -> StoreUnavailable:
        return StoreUnavailable(
            f"{self._path} is damaged ({finding}): restore a backup of it, or move it away "
            "(with its -wal and -shm files) to start with an empty cluster"
        )

    def _describe(self, what: str, error: Exception) -> str:
        name = getattr(error, "sqlite_errorname", "")
        if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
            return str(self._damaged(str(error)))
        hint = ": make room on its disk" if name == "SQLITE_FULL" else ""
        return f"{what} {self._path}: {error}{f' ({name})' if name else ''}{hint}"
