"""HTTP/1.1 for the API: one protocol class on httptools, the only file that knows how requests arrive and answers
leave.

A request reaches the handler complete, body and all (bodies are bounded). Requests of one connection are answered one
after the other; a handler that does not have to wait runs at once, without a task. Streams (watches) and upgraded
connections (exec, port-forward) write through the same object.

Slow clients: headers, bodies and idle connections have deadlines, kept by one sweep over all connections. A long answer
goes out in pieces as the client takes them, and until it has taken them its next request waits; one that takes nothing
for too long is cut off. So what a connection costs is bounded, whatever its client does.
"""

from __future__ import annotations

import asyncio
import logging
import types
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from http import HTTPStatus
from typing import Any

import httptools

from tiphys.apiserver.framing import Refusal, refusal, waits_to_be_told
from tiphys.apiserver.io.answer_heads import AnswerHeads

log = logging.getLogger(__name__)

HEADER_BYTES_LIMIT = 64 * 1024
BODY_BYTES_LIMIT = 3 * 1024 * 1024
PIPELINE_LIMIT = 16
RECEIVE_SECONDS = 60.0
IDLE_SECONDS = 180.0
SWEEP_SECONDS = 5.0
# A client that has this long not taken what waits for it is cut off.
STUCK_SECONDS = 60.0
PIECE_BYTES = 256 * 1024
DISCARD_BYTES_LIMIT = 64 * 1024 * 1024
WITHOUT_BODY = (204, 304)

_STATUS_LINES = {s.value: f"HTTP/1.1 {s.value} {s.phrase}\r\n".encode() for s in HTTPStatus}


class HttpRequest:
    """One request. `headers` has lower-case names, repeated ones joined with ", "; `all_headers` has every one as
    sent. `refusal`: it was not read to its end, and why; nothing else says anything then. `takes_chunks`: the client
    understands answers of unknown length. `head_lines` are header lines that every answer to it begins with."""

    __slots__ = (
        "all_headers", "body", "head_lines", "headers", "keep_alive", "method", "path", "query", "refusal", "started",
        "takes_chunks", "upgrade",
    )  # fmt: skip

    def __init__(self) -> None:
        self.method = ""
        self.path = ""
        self.query = ""
        self.all_headers: list[tuple[bytes, bytes]] = []
        self.body = b""
        self.keep_alive = True
        self.refusal: Refusal | None = None
        self.takes_chunks = True
        self.upgrade = False
        self.started = 0.0
        self.head_lines = b""
        self.headers: dict[str, str] = {}

    def read_headers(self) -> None:
        """Fill `headers` from `all_headers`."""
        found = self.headers
        for name, value in self.all_headers:
            key, text = name.decode("latin-1").lower(), value.decode("latin-1")
            found[key] = f"{found[key]}, {text}" if key in found else text

    @property
    def text_headers(self) -> tuple[tuple[str, str], ...]:
        return tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in self.all_headers)


Handler = Callable[[HttpRequest, "HttpConnection"], Coroutine[Any, Any, None]]


@types.coroutine
def _resumed(coroutine: Coroutine[Any, Any, None], waits_for: Any) -> Generator[Any, Any, None]:
    """Goes on, inside a task, with a coroutine that was begun outside of one and now waits for something."""
    while True:
        try:
            value = yield waits_for
        except BaseException as error:
            try:
                waits_for = coroutine.throw(error)
            except StopIteration:
                return
        else:
            try:
                waits_for = coroutine.send(value)
            except StopIteration:
                return


async def in_task() -> None:
    """Return inside a task, which timeouts and clients need (handlers begin outside of one)."""
    if asyncio.current_task() is None:
        await asyncio.sleep(0)


class HttpServerState:
    """What the connections of one server share."""

    def __init__(self, handler: Handler, monotonic: Callable[[], float], heads: AnswerHeads) -> None:
        self.handler = handler
        self.heads = heads
        self.monotonic = monotonic
        self.connections: set[HttpConnection] = set()
        self.stopping = False

    def sweep(self) -> None:
        """Close what has been idle, or sending its request, for too long."""
        now = self.monotonic()
        for connection in [*self.connections]:
            connection.check_deadline(now)


class HttpConnection(asyncio.Protocol):
    """See the module docstring."""

    def __init__(self, state: HttpServerState) -> None:
        self._state = state
        self._loop = asyncio.get_running_loop()
        self._parser: Any = httptools.HttpRequestParser(self)
        self._request: HttpRequest | None = None
        self._url: list[bytes] = []
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._header_bytes = 0
        self._queue: deque[HttpRequest] = deque()
        self._busy: HttpRequest | None = None
        self._task: asyncio.Task[Any] | None = None
        self._refused = False
        self._lingers = False
        self._discarded_bytes = 0
        self._paused_reading = False
        self._since = state.monotonic()
        self._drained: asyncio.Future[None] | None = None
        self._paused_since = 0.0
        self._unsent: memoryview | None = None
        self._closes = False
        self._lost: asyncio.Future[None] | None = None
        self._leftover = b""
        self.upgraded = False
        self.closed = False
        self.responded = False
        # When a request that is not answered by then is given up (monotonic seconds; 0: never).
        self.deadline = 0.0
        self.transport: asyncio.Transport = None  # type: ignore[assignment]
        # What the handler remembers about the peer (its identity).
        self.peer: Any = None

    # -- the transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        self._state.connections.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self.closed = True
        self._state.connections.discard(self)
        self._queue.clear()
        self._unsent = None
        self._parser = None  # it refers to us: nothing should wait for the garbage collector
        for future in (self._drained, self._lost):
            if future is not None and not future.done():
                future.set_result(None)

    def pause_writing(self) -> None:
        if self._drained is None:
            self._drained = self._loop.create_future()
            self._paused_since = self._state.monotonic()

    def resume_writing(self) -> None:
        drained, self._drained = self._drained, None
        if drained is not None and not drained.done():
            drained.set_result(None)
        if self._unsent is not None or self._queue:
            self._loop.call_soon(self._go_on)

    def _send_pieces(self) -> None:
        while self._unsent is not None and self._drained is None and not self.closed:
            piece, rest = self._unsent[:PIECE_BYTES], self._unsent[PIECE_BYTES:]
            self._unsent = rest if len(rest) else None
            self.transport.write(piece)

    def _go_on(self) -> None:
        """Send more of a long answer; when that is done, what waits for it."""
        self._send_pieces()
        if self._unsent is None and not self.closed:
            if self._closes:
                self.transport.close()
            else:
                self._next()

    def eof_received(self) -> bool:
        return False

    def data_received(self, data: bytes) -> None:
        if self._refused:  # the client may still be sending: taking it lets it read why it was refused
            self._discarded_bytes += len(data)
            if self._discarded_bytes > DISCARD_BYTES_LIMIT:
                self.transport.close()
            return
        if self.upgraded:
            self._leftover += data
            if len(self._leftover) > HEADER_BYTES_LIMIT:
                self._pause_reading()
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._leftover = data[upgrade.args[0] :]
        except (httptools.HttpParserError, _Refused) as error:
            self._refuse(error)
        if self._busy is None and self._queue:
            self._next()

    # -- the parser's side

    def on_message_begin(self) -> None:
        request = self._request = HttpRequest()
        self._headers = request.all_headers
        self._url.clear()
        self._body.clear()
        self._body_bytes = self._header_bytes = 0
        self._since = self._state.monotonic()

    def on_url(self, url: bytes) -> None:
        self._url.append(url)
        self._count_header(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))
        self._count_header(len(name) + len(value))

    def _count_header(self, count: int) -> None:
        self._header_bytes += count
        if self._header_bytes > HEADER_BYTES_LIMIT:
            raise _Refused(Refusal(431))

    def on_headers_complete(self) -> None:
        request = self._request
        assert request is not None
        request.method = self._parser.get_method().decode()
        url = self._url[0] if len(self._url) == 1 else b"".join(self._url)
        path, _, query = url.decode("latin-1").partition("?")
        if not path.startswith("/"):
            path = "/" + path.split("://", 1)[-1].partition("/")[2] if "://" in path else path
        request.path, request.query = path, query.partition("#")[0]
        version = self._parser.get_http_version()
        request.takes_chunks = version != "1.0"
        request.keep_alive = request.takes_chunks and self._parser.should_keep_alive()
        request.upgrade = self._parser.should_upgrade()
        request.read_headers()
        headers = request.headers
        found = refusal(version, headers, request.upgrade, BODY_BYTES_LIMIT)
        if found is not None:
            raise _Refused(found)
        if waits_to_be_told(headers) and self._busy is None and not self._queue:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._body.append(body)
        self._body_bytes += len(body)
        if self._body_bytes > BODY_BYTES_LIMIT:
            raise _Refused(Refusal(413))

    def on_message_complete(self) -> None:
        request = self._request
        assert request is not None
        self._request = None
        if self._body:
            request.body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        if request.upgrade:
            self.upgraded = True
        self._queue.append(request)
        waiting = len(self._queue)
        if waiting > PIPELINE_LIMIT or (waiting > 1 and sum(len(one.body) for one in self._queue) > BODY_BYTES_LIMIT):
            self._pause_reading()

    def _refuse(self, error: Exception) -> None:
        """A request that cannot be read ends the connection, after what came before it was answered."""
        self._refused = True
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, _Refused):
            cause = cause.__context__ or cause.__cause__
        request = HttpRequest()
        request.method, request.keep_alive = "GET", False
        request.refusal = cause.refusal if isinstance(cause, _Refused) else Refusal(400)
        self._queue.append(request)

    def _pause_reading(self) -> None:
        if not self._paused_reading and not self.closed:
            self._paused_reading = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        if self._paused_reading and not self.closed:
            self._paused_reading = False
            self.transport.resume_reading()

    # -- running the handler

    def _next(self) -> None:
        while self._queue and self._busy is None and not self.closed:
            if self._drained is not None or self._unsent is not None:
                return  # until the client has taken the answers before
            request = self._busy = self._queue.popleft()
            request.started = self._state.monotonic()
            self.responded = False
            self.deadline = 0.0
            if self._paused_reading and not self._refused and len(self._queue) < PIPELINE_LIMIT // 2:
                self.resume_reading()
            coroutine = self._run(request)
            try:
                waits_for = coroutine.send(None)
            except StopIteration:
                continue
            self._task = self._loop.create_task(_resumed(coroutine, waits_for))

    async def _run(self, request: HttpRequest) -> None:
        try:
            await self._state.handler(request, self)
        except asyncio.CancelledError:
            if not self.responded:
                self.abort()
            raise
        except Exception:
            log.exception("answering %s %s", request.method, request.path)
            self.abort()
        finally:
            self._finished(request)

    def _finished(self, request: HttpRequest) -> None:
        self._busy = None
        self._since = self._state.monotonic()
        was_task, self._task = self._task, None
        if self.closed:
            return
        if not request.keep_alive or self.upgraded or self._state.stopping:
            if self._refused:
                self._lingers = True  # until the next sweep
            elif not self._queue:
                self.close_when_sent()
            return
        if was_task is not None and self._queue:
            self._loop.call_soon(self._next)

    # -- what handlers use

    def respond(
        self,
        request: HttpRequest,
        code: int,
        body: bytes,
        content_type: bytes = b"application/json",
        extra: bytes = b"",
        cache_control: bytes = b"no-cache, private",
    ) -> None:
        """Send a whole answer. `extra` holds more header lines, each ending in CRLF."""
        self.responded = True
        if self.closed:
            return
        if self.upgraded or self._state.stopping or not request.keep_alive:
            request.keep_alive = False
            extra += b"Connection: close\r\n"
        if code not in WITHOUT_BODY:  # what is kept of such an answer must not say that its body were empty
            extra += b"Content-Length: %d\r\n" % len(body)
        head = b"%sContent-Type: %s\r\nCache-Control: %s\r\n%s%s%s\r\n" % (
            _STATUS_LINES.get(code) or b"HTTP/1.1 %d Unknown\r\n" % code, content_type, cache_control,
            self._state.heads.lines(request.headers), request.head_lines, extra,
        )  # fmt: skip
        if request.method == "HEAD":
            self.transport.write(head)
        elif len(body) < 65536:
            self.transport.write(head + body)
        elif len(body) <= PIECE_BYTES:
            self.transport.writelines((head, body))
        else:
            self.transport.write(head)
            self._unsent = memoryview(body)
            self._send_pieces()

    def begin_stream(self, request: HttpRequest, content_type: bytes, extra: bytes = b"", code: int = 200) -> None:
        """Start a chunked answer of unknown length."""
        self.responded = True
        if self._state.stopping:
            request.keep_alive = False
        head = b"%sContent-Type: %s\r\nCache-Control: no-cache, private\r\n%sTransfer-Encoding: chunked\r\n\r\n"
        extra = self._state.heads.lines(request.headers) + request.head_lines + extra
        self.transport.write(head % (_STATUS_LINES[code], content_type, extra))

    def write_raw(self, data: bytes) -> None:
        """Bytes that are framed already."""
        if not self.closed:
            self.transport.write(data)

    def end_stream(self) -> None:
        if not self.closed:
            self.transport.write(b"0\r\n\r\n")

    @property
    def outstanding_bytes(self) -> int:
        return self.transport.get_write_buffer_size()

    async def drain(self) -> None:
        """Return when the client has taken most of what was written, or is gone."""
        if self._drained is not None and not self.closed:
            await asyncio.shield(self._drained)

    @property
    def is_write_paused(self) -> bool:
        """The client has too much to take already."""
        return self._drained is not None

    @property
    def lost(self) -> asyncio.Future[None]:
        """Done when the connection is gone."""
        if self._lost is None:
            self._lost = self._loop.create_future()
            if self.closed:
                self._lost.set_result(None)
        return self._lost

    def abort(self) -> None:
        if not self.closed:
            self.transport.abort()

    def hijack(self, protocol: asyncio.BaseProtocol) -> bytes:
        """Give the connection to another protocol; the bytes that came after the request."""
        self.responded = True
        self._state.connections.discard(self)
        leftover, self._leftover = self._leftover, b""
        self.transport.set_protocol(protocol)
        self.closed = True
        return leftover

    @property
    def reading_is_paused(self) -> bool:
        return self._paused_reading

    # -- deadlines and the end

    @property
    def busy(self) -> bool:
        """A request is being answered, or its answer is still going out."""
        return self._busy is not None or self._unsent is not None

    def check_deadline(self, now: float) -> None:
        if self._drained is not None and now - self._paused_since > STUCK_SECONDS:
            self.transport.abort()
            return
        if self.busy:
            if self.deadline and now > self.deadline and self._task is not None:
                self.deadline = 0.0
                self._task.cancel()
            return
        if self._lingers:
            self.transport.close()
            return
        limit = RECEIVE_SECONDS if self._request is not None else IDLE_SECONDS
        if now - self._since > limit:
            self.transport.close()

    def close_when_sent(self) -> None:
        """Part of a graceful end: an idle connection closes now, one that sends a long answer after that."""
        self._closes = True
        if not self.busy and not self.closed:
            self.transport.close()

    @property
    def task(self) -> asyncio.Task[Any] | None:
        return self._task


class _Refused(Exception):
    """Ends the parser's work on a connection."""

    def __init__(self, why: Refusal) -> None:
        super().__init__(why.message)
        self.refusal = why


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked answer."""
    return b"%x\r\n%s\r\n" % (len(data), data)
