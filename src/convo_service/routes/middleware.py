"""What happens to every request before any route: an id, a limit, and one line in the log."""

import re
import time
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from opentelemetry.trace import Span
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from convo_service.domain.ids import new_id
from convo_service.errors import ConvoError, PayloadTooLarge
from convo_service.routes.problems import path_of, problem
from convo_service.telemetry import get_logger, metrics, request_id, tracing

HEADER, TRACEPARENT = b"x-request-id", b"traceparent"
PROBES = {
    "/livez",
    "/readyz",
    "/metrics",
}  # asked every few seconds for ever: a log of them says nothing while they are well
BAD = 400
_UNTRACED = nullcontext(None)
_ACCEPTABLE = re.compile(rb"(?=.*[A-Za-z])[A-Za-z0-9._:-]{1,128}")  # with a letter: a phone number is no id

log = get_logger()


class RequestEdge:
    """Takes or makes X-Request-Id, stops bodies over the limit (Starlette's own answers plain text), and logs."""

    def __init__(self, app: ASGIApp, max_body_bytes: int) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = _header(scope, HEADER)
        current = given.decode() if given and _ACCEPTABLE.fullmatch(given) else new_id("req")
        token = request_id.set(current)
        try:
            with _traced(scope) as span:
                await self._handle(scope, receive, send, current, span)
        finally:
            request_id.reset(token)

    async def _handle(self, scope: Scope, receive: Receive, send: Send, current: str, span: Span | None) -> None:
        started = time.perf_counter()
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (HEADER, current.encode())]
            await send(message)

        try:
            if _declared(scope) > self._max_body_bytes:
                await problem(PayloadTooLarge(), path_of(scope))(scope, receive, send_with_id)
            else:
                await self._app(scope, _limited(receive, self._max_body_bytes), send_with_id)
        except ClientDisconnect:
            log.debug("client_left")  # in the middle of its own request: there is nobody to be answered
        except Exception as error:
            # Answered here, inside, so that the answer has the request's id and the log no message of a driver.
            log.error("request_crashed", exc_info=error)
            if status:
                raise
            await problem(ConvoError(), path_of(scope))(scope, receive, send_with_id)
        route = _template(scope)
        seconds = time.perf_counter() - started
        metrics.request_done(scope["method"], route, status, seconds)
        if span is not None:
            tracing.end_request(span, scope["method"], route, status)
        say = log.debug if route in PROBES and status < BAD else log.info
        say("request_done", method=scope["method"], route=route, status=status, ms=round(seconds * 1000, 1))


def _limited(receive: Receive, most: int) -> Receive:
    """Count a body that did not say how long it is."""
    read = 0

    async def counted() -> Message:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        if read > most:
            raise HTTPException(413)
        return message

    return counted


def _declared(scope: Scope) -> int:
    length = _header(scope, b"content-length") or b"0"
    return int(length[:19]) if length.isdigit() else 0  # of a longer number, its beginning is too large already


def _header(scope: Scope, name: bytes) -> bytes | None:
    return next((value for key, value in scope["headers"] if key == name), None)


def _traced(scope: Scope) -> AbstractContextManager[Span | None]:
    if not tracing.is_on() or scope["path"] in PROBES:
        return _UNTRACED
    given = _header(scope, TRACEPARENT)
    return tracing.request(scope["method"], given.decode("latin-1") if given is not None else None)


def _template(scope: Scope) -> str | None:
    """The path as it is declared: a real one would put ids, and mistyped phone numbers, into the log."""
    route: Any = scope.get("route")
    return getattr(route, "path", None)
