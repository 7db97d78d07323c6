"""One request from its head to its answer: who asks, may they, what is it, and the bytes that go back.

Every failure is a Status. A fault of the server's own is logged with its traceback and answered as InternalError.
"""

from __future__ import annotations

import asyncio
import gzip
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from tiphys.aio.clock import Clock
from tiphys.apiserver import ignored_options, negotiation, routes, watch_options, yaml_form
from tiphys.apiserver.authn import identity
from tiphys.apiserver.authn.identity import UserInfo
from tiphys.apiserver.authn.impersonation import impersonate
from tiphys.apiserver.authn.interface import Authenticator, HttpRequestHead, PeerCertificate
from tiphys.apiserver.authz.interface import Authorizer
from tiphys.apiserver.authz.refusal import forbidden
from tiphys.apiserver.documents import ServerDocuments
from tiphys.apiserver.flow import Flows
from tiphys.apiserver.forms import check_shape, encode_other
from tiphys.apiserver.framing import Refusal
from tiphys.apiserver.io.dispatch import Dispatch
from tiphys.apiserver.io.document_answers import NOT_SNIFFED, DocumentAnswers
from tiphys.apiserver.io.http import BODY_BYTES_LIMIT, HttpConnection, HttpRequest
from tiphys.apiserver.io.reads import Reads
from tiphys.apiserver.io.streams import WatchStream
from tiphys.apiserver.io.tunnel import Proxies
from tiphys.apiserver.io.watching import WatchHub
from tiphys.apiserver.metrics import Metrics
from tiphys.apiserver.permissions import attributes_of
from tiphys.apiserver.protobuf_form import encoded_other, form_of
from tiphys.apiserver.request import RequestInfo, parse_query, parse_target
from tiphys.apiserver.rest import ownership
from tiphys.apiserver.rest.call import Call, EncodedBody, Outcome
from tiphys.apiserver.warning_headers import warning_headers
from tiphys.machinery import errors
from tiphys.machinery.errors import ApiError

log = logging.getLogger(__name__)

GZIP_FROM_BYTES = 128 * 1024


@dataclass(slots=True, kw_only=True)
class Limits:
    """`gzip`: compress long answers for those who ask; that costs some 3 ms a megabyte, more than a fast network takes
    to carry what it saves."""

    mutating_in_flight: int = 200
    reading_in_flight: int = 400
    request_seconds: float = 60.0
    gzip: bool = False


class ApiHandler:
    """The `Handler` of the HTTP server."""

    def __init__(
        self,
        *,
        authenticator: Authenticator,
        authorizer: Authorizer,
        anonymous: bool,
        dispatch: Dispatch,
        reads: Reads,
        hub: WatchHub,
        documents: ServerDocuments,
        proxies: Proxies,
        metrics: Metrics,
        clock: Clock,
        limits: Limits,
        flows: Flows,
        random: Any,
    ) -> None:
        self._authenticator = authenticator
        self._authorizer = authorizer
        self._anonymous = anonymous
        self._dispatch = dispatch
        self._reads = reads
        self._hub = hub
        self._documents = DocumentAnswers(documents, clock.now)
        self._proxies = proxies
        self._metrics = metrics
        self._clock = clock
        self._limits = limits
        self._flows = flows
        self._random = random
        self._mutating = 0
        self._reading = 0
        self.stopping: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def __call__(self, request: HttpRequest, connection: HttpConnection) -> None:
        began = request.started
        info: RequestInfo | None = None
        code, counted = 0, 0
        try:
            if request.refusal is not None:
                raise _unreadable(request.refusal)
            target = parse_target(request.method, request.path, request.query)
            info, query = target.info, target.query
            if not target.is_long_running:
                counted = self._admit_in_flight(info)
                connection.deadline = began + self._limits.request_seconds
            user = await self._user(request, connection)
            question = attributes_of(user, info, query.get("fieldSelector", ""))
            request.head_lines = self._flows.lines(question)
            decision = self._authorizer.authorize(question)
            if not decision.allowed:
                raise forbidden(question, decision.reason)
            code = await self._serve(request, connection, info, query, user)
        except ApiError as error:
            code = self._fail(request, connection, error)
        except msgspec.ValidationError as error:
            code = self._fail(request, connection, errors.bad_request(str(error)))
        except RecursionError:
            code = self._fail(
                request, connection, errors.bad_request("the body of the request exceeds the maximum depth")
            )
        except asyncio.CancelledError:
            code = 504
            self._cancelled(request, connection)
            raise
        except Exception:
            log.exception("%s %s failed", request.method, request.path)
            code = self._fail(request, connection, errors.internal("the server failed; its log says why"))
        finally:
            if counted:
                self._leave_in_flight(counted)
            seen = info or RequestInfo(verb=request.method.lower(), path=request.path)
            self._metrics.observe(seen, code, self._clock.monotonic() - began)

    # -- bounds

    def _admit_in_flight(self, info: RequestInfo) -> int:
        """1 for a reading, 2 for a mutating request that is now counted. ApiError 429."""
        if info.verb in ("", "get", "list", "watch", "head", "options"):
            if self._reading >= self._limits.reading_in_flight:
                raise errors.too_many_requests("Too many requests, please try again later.", 1)
            self._reading += 1
            return 1
        if self._mutating >= self._limits.mutating_in_flight:
            raise errors.too_many_requests("Too many requests, please try again later.", 1)
        self._mutating += 1
        return 2

    def _leave_in_flight(self, counted: int) -> None:
        if counted == 1:
            self._reading -= 1
        else:
            self._mutating -= 1

    @property
    def in_flight(self) -> tuple[int, int]:
        """(mutating, reading) requests under way."""
        return self._mutating, self._reading

    def _cancelled(self, request: HttpRequest, connection: HttpConnection) -> None:
        if not connection.responded and not connection.closed:
            self._fail(request, connection, errors.timeout("request did not complete within the allotted timeout"))

    # -- who

    async def _user(self, request: HttpRequest, connection: HttpConnection) -> UserInfo:
        """The user, impersonation done. ApiError 401 or 403."""
        peer: Peer = connection.peer or _peer(connection)
        headers = request.headers
        if "authorization" not in headers and peer.user is not None:
            user: UserInfo = peer.user
        else:
            head = HttpRequestHead(
                method=request.method,
                path=request.path,
                query=request.query,
                headers=headers,
                remote_address=peer.address,
            )
            found = await self._authenticator.authenticate(head, peer.certificate)
            if found is None:
                if not self._anonymous:
                    raise errors.unauthorized()
                user = identity.anonymous()
            elif peer.certificate is not None and not _has_token(headers):
                # A certificate belongs to its connection, a token (also one in a WebSocket's protocols) to its request.
                peer.user = user = identity.authenticated(found)
            else:
                user = identity.authenticated(found)
        for name in headers:
            if name.startswith("impersonate-"):
                return impersonate(user, request.text_headers, self._authorizer)
        return user

    # -- what

    async def _serve(
        self,
        request: HttpRequest,
        connection: HttpConnection,
        info: RequestInfo,
        query: Mapping[str, str],
        user: UserInfo,
    ) -> int:
        headers = request.headers
        if not info.is_resource:
            return self._documents.answer(request, connection, info.path)
        resource = self._dispatch.resource(info)
        if resource is None:
            return self._documents.answer(request, connection, info.path)
        body = EncodedBody(request.body, headers.get("content-type", ""), query.get("fieldValidation", ""))
        if body.takes_long:
            body = await asyncio.to_thread(body.as_json)
        call = Call(
            user=user,
            resource=resource,
            verb=info.verb,
            namespace=info.namespace if resource.namespaced else "",
            name=info.name,
            subresource=info.subresource,
            field_manager=_field_manager(info, query, headers),
            query=query,
            body=body,
        )
        routes.check(call, request.method)
        ignored = ignored_options.warnings(call.verb, query)
        if resource.warning or ignored:
            request.head_lines += warning_headers((resource.warning, *ignored))
        if resource.warning:
            self._metrics.requested_deprecated(resource, info.subresource)
        proxied = self._proxies.serves(call)
        if not request.takes_chunks and (proxied or info.verb == "watch"):
            raise errors.bad_request("an answer of unknown length needs HTTP/1.1")
        if proxied:
            await self._proxies.serve(call, info, request, connection)
            return 101 if request.upgrade else 200
        accepted = negotiation.negotiate(headers.get("accept", ""), info.verb == "watch")
        if info.verb == "watch":
            return await self._watch(call, accepted, request, connection)
        if accepted.shape and resource.storage:
            check_shape(resource, accepted, is_list=info.verb in ("list", "deletecollection"))
        if info.verb == "list":
            return await self._list(call, accepted, request, connection)
        if info.verb == "get" and "resourceVersion" in query:
            await self._reads.named_revision(call)
        outcome = await (self._dispatch.get(call) if info.verb == "get" else self._dispatch.write(call))
        if outcome.entry is not None:
            await self._hub.ready(outcome.shown_as or call.resource, (outcome.entry,))
        elif outcome.listed is not None:
            await self._hub.ready(call.resource, outcome.listed[0])
        return self._answer(call, outcome, accepted, request, connection)

    async def _list(
        self, call: Call, accepted: negotiation.Accepted, request: HttpRequest, connection: HttpConnection
    ) -> int:
        form = form_of(call.resource, accepted, call.query.get("includeObject", ""))
        entries, head = await self._reads.list(call)
        await self._hub.ready(call.resource, entries)
        body = form.many(entries, head, self._clock.now())
        self._send(request, connection, 200, body, accepted, call.query)
        return 200

    async def _watch(
        self, call: Call, accepted: negotiation.Accepted, request: HttpRequest, connection: HttpConnection
    ) -> int:
        form = form_of(call.resource, accepted, call.query.get("includeObject", ""))
        options = watch_options.parse(call.query, self._random())
        chosen = self._reads.selection(call)
        collection = self._reads.collection(call.resource)
        await self._reads.wait_for(options.revision)
        stream = WatchStream(
            self._hub, self._reads.caches, collection, chosen, form, options, request, connection, self._clock.now
        )
        await stream.run(self.stopping)
        return 200

    def _answer(
        self,
        call: Call,
        outcome: Outcome,
        accepted: negotiation.Accepted,
        request: HttpRequest,
        connection: HttpConnection,
    ) -> int:
        resource, included = outcome.shown_as or call.resource, call.query.get("includeObject", "")
        if outcome.entry is not None:
            body = form_of(resource, accepted, included).one(outcome.entry, self._clock.now())
        elif outcome.listed is not None:
            body = form_of(resource, accepted, included).many(*outcome.listed, self._clock.now())
        else:
            if accepted.shape and not call.resource.storage:  # a review has no metadata that a table could show
                raise errors.not_acceptable(f"only the following media types are accepted: {negotiation.OFFERED}")
            body = encode_other(outcome.obj) + b"\n"
            if accepted.protobuf:
                body = encoded_other(body)
        extra = warning_headers(outcome.warnings) if outcome.warnings else b""
        self._send(request, connection, outcome.code, body, accepted, call.query, extra)
        return outcome.code

    def _send(
        self,
        request: HttpRequest,
        connection: HttpConnection,
        code: int,
        body: bytes,
        accepted: negotiation.Accepted,
        query: Mapping[str, str],
        extra: bytes = b"",
    ) -> None:
        if accepted.yaml:
            body = yaml_form.encode(msgspec.json.decode(body))
        elif not accepted.protobuf and negotiation.wants_indentation(
            query, request.headers.get("user-agent", ""), accepted
        ):
            body = msgspec.json.format(body, indent=2)
        if self._limits.gzip and len(body) > GZIP_FROM_BYTES and _takes_gzip(request):
            body = gzip.compress(body, 1, mtime=0)
            extra += b"Content-Encoding: gzip\r\nVary: Accept-Encoding\r\n"
        connection.respond(request, code, body, accepted.content_type, extra)

    def _fail(self, request: HttpRequest, connection: HttpConnection, error: ApiError) -> int:
        if connection.responded:
            connection.abort()
            return error.code
        extra = b""
        if error.retry_after_seconds:
            extra = b"Retry-After: %d\r\n" % error.retry_after_seconds
        if error.warnings:
            extra += warning_headers(error.warnings)
        if error.code == 403:  # it repeats the path that was asked for
            extra += NOT_SNIFFED
        accepted = negotiation.negotiate_error(request.headers.get("accept", ""))
        body = encode_other(error.status()) + b"\n"
        if accepted.protobuf:
            body = encoded_other(body)
        self._send(request, connection, error.code, body, accepted, parse_query(request.query), extra)
        return error.code


def _takes_gzip(request: HttpRequest) -> bool:
    return negotiation.takes_gzip(request.headers.get("accept-encoding", ""))


def _field_manager(info: RequestInfo, query: Mapping[str, str], headers: Mapping[str, str]) -> str:
    """Who makes the change, of a writing request. ApiError 422."""
    if info.verb not in ("create", "update", "patch"):
        return ""
    return ownership.manager_name(info.verb, query.get("fieldManager", ""), headers.get("user-agent", ""))


def _has_token(headers: Mapping[str, str]) -> bool:
    return "authorization" in headers or "sec-websocket-protocol" in headers


@dataclass(slots=True)
class Peer:
    """What is known of the other end of a connection; `user` once its certificate has been authenticated."""

    address: str
    certificate: PeerCertificate | None
    user: UserInfo | None = None


def _peer(connection: HttpConnection) -> Peer:
    from tiphys.apiserver.io.tls import peer_certificate

    address = connection.transport.get_extra_info("peername")
    peer = Peer(address[0] if isinstance(address, tuple) else "", peer_certificate(connection.transport))
    connection.peer = peer
    return peer


def _unreadable(refusal: Refusal) -> ApiError:
    if refusal.code == 413:
        return errors.too_large(BODY_BYTES_LIMIT)
    if refusal.code == 431:
        return ApiError(431, "RequestHeaderFieldsTooLarge", "the request's headers are too large")
    if refusal.code == 417:
        return ApiError(417, "ExpectationFailed", refusal.message)
    return errors.bad_request(refusal.message)
