"""One call of an operation on its way from the socket to its handler, through the faults that wait for it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import NamedTuple

from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send

from convo_service.llm.emulator.faults import Fault, Faults
from convo_service.llm.emulator.wire import Answer, ApiError, Json, until_gone

_KEPT_REQUESTS = 1000


class Recorded(NamedTuple):
    """A request as it came over the wire; of a GET the query stands for the body."""

    operation: str
    conversation_id: str | None
    body: Json


@dataclass
class Journal:
    """What was asked so far."""

    calls: Counter[str] = field(default_factory=Counter)
    requests: list[Recorded] = field(default_factory=list)

    def record(self, entry: Recorded) -> None:
        """Keeps the request and forgets the oldest."""
        self.requests.append(entry)
        del self.requests[:-_KEPT_REQUESTS]

    def clear(self) -> None:
        """Starts from zero, in the same objects."""
        self.calls.clear()
        self.requests.clear()


@dataclass
class Call:
    """What a handler may know of a request."""

    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Json
    fault: Fault | None
    stack: ExitStack

    @property
    def conversation_id(self) -> str | None:
        """The conversation in the path, or the one that the body names."""
        named = self.path.get("conversation_id") or self.body.get("conversation")
        named = named.get("id") if isinstance(named, dict) else named
        return named if isinstance(named, str) else None

    @property
    def failed_run(self) -> str | None:
        """The code with which the model run shall fail."""
        return self.fault.failed_run if self.fault else None

    async def pause(self) -> None:
        """The time that the work takes, if a fault makes it long."""
        if self.fault and not self.fault.after:
            await self.fault.pause()


Handler = Callable[[Call], Awaitable[Answer]]


class Endpoint:
    """An operation as an ASGI app: counts the call, lets its fault have its way, and answers."""

    def __init__(self, operation: str, handler: Handler, faults: Faults, journal: Journal) -> None:
        self._operation = operation
        self._handler = handler
        self._faults = faults
        self._journal = journal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._journal.calls[self._operation] += 1
        request = Request(scope, receive)
        try:
            raw = await request.body()
        except ClientDisconnect:
            return
        await until_gone(self._serve(request, raw, send), receive)

    async def _serve(self, request: Request, raw: bytes, send: Send) -> None:
        fault = self._faults.take(self._operation)
        with ExitStack() as stack:
            # The stack outlives the handler: a stream holds its conversation until its last byte.
            call = Call(request.path_params, request.query_params, {}, fault, stack)
            answer = await self._answer(request, raw, call)
            await answer.send(send, fault.drip if fault else None)

    async def _answer(self, request: Request, raw: bytes, call: Call) -> Answer:
        try:
            call.body = _parsed(raw)
        except ApiError as error:
            return error.answer()
        finally:
            body = call.body or dict(call.query)
            self._journal.record(Recorded(self._operation, call.conversation_id, body))
        return await self._faulted(request, call, call.fault) if call.fault else await self._work(request, call)

    async def _faulted(self, request: Request, call: Call, fault: Fault) -> Answer:
        failure = fault.failure()
        if failure is None:
            return await self._work(request, call)
        if fault.after:
            async for _ in (await self._work(request, call)).pieces():
                pass
        await fault.pause()
        return failure

    async def _work(self, request: Request, call: Call) -> Answer:
        try:
            _check_key(request.headers.get("authorization", ""))
            return await self._handler(call)
        except ApiError as error:
            return error.answer()


def _parsed(raw: bytes) -> Json:
    if not raw:
        return {}
    try:
        body = json.loads(raw)
    except ValueError as error:
        raise ApiError(400, "We could not parse the JSON body of your request.") from error
    if not isinstance(body, dict):
        raise ApiError(400, "Invalid body: expected an object.", code="invalid_type")
    return body


def _check_key(authorization: str) -> None:
    scheme, _, key = authorization.partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise ApiError(401, "You didn't provide an API key.", code="invalid_api_key")
