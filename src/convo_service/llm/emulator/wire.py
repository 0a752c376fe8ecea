"""The wire: answers and their bodies, the error envelope, and a client that goes away."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.types import Receive, Send

Json = dict[str, Any]

JSON_TYPE = {"content-type": "application/json"}
SSE_TYPE = {"content-type": "text/event-stream; charset=utf-8"}


def new_id(prefix: str) -> str:
    """A fresh id in OpenAI's form: a prefix and 48 hexadecimal digits."""
    return f"{prefix}_{secrets.token_hex(24)}"


def encode(value: object) -> bytes:
    """JSON in plain ASCII, so that a lone surrogate in a client's text cannot break the answer."""
    return json.dumps(value, separators=(",", ":")).encode()


@dataclass(frozen=True)
class Answer:
    """What goes back to the client: a whole body, or the pieces of a stream."""

    body: bytes | AsyncIterator[bytes]
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: JSON_TYPE)

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body piece by piece; to run through them all is to do the work of a stream."""
        if isinstance(self.body, bytes):
            yield self.body
            return
        async for piece in self.body:
            yield piece

    async def send(self, send: Send, drip: float | None = None) -> None:
        """Sends the answer; with `drip`, one byte every so many seconds."""
        await send({"type": "http.response.start", "status": self.status, "headers": self._raw_headers()})
        async for piece in self.pieces():
            for part in (piece,) if drip is None else _single_bytes(piece):
                await asyncio.sleep(drip or 0)  # also without a drip: a client that has left is noticed here
                await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _raw_headers(self) -> list[tuple[bytes, bytes]]:
        headers = {"x-request-id": new_id("req")} | {name.lower(): value for name, value in self.headers.items()}
        if isinstance(self.body, bytes):
            headers["content-length"] = str(len(self.body))
        return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]


def _single_bytes(piece: bytes) -> list[bytes]:
    return [piece[at : at + 1] for at in range(len(piece))]


def json_answer(value: object) -> Answer:
    """A 200 with this value as JSON."""
    return Answer(encode(value))


class ApiError(Exception):
    """A refusal in OpenAI's envelope: status, message, parameter and code."""

    def __init__(self, status: int, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.param = param
        self.code = code

    def answer(self, headers: Mapping[str, str] | None = None) -> Answer:
        """The envelope as an answer, with these headers besides."""
        error = {"message": self.message, "type": self._type(), "param": self.param, "code": self.code}
        return Answer(encode({"error": error}), self.status, {**JSON_TYPE, **(headers or {})})

    def _type(self) -> str:
        if self.code == "insufficient_quota":
            return "insufficient_quota"
        if self.status == 429:
            return "rate_limit_error"
        return "server_error" if self.status >= 500 else "invalid_request_error"


def not_found(what: str, which: str) -> ApiError:
    """OpenAI's 404 for a missing object carries neither a parameter nor a code (seen on the live API)."""
    return ApiError(404, f"{what} with id '{which}' not found.")


async def until_gone(work: Coroutine[Any, Any, None], receive: Receive) -> None:
    """Does the work, but drops it when the client goes away; the request's body must have been read before."""
    working = asyncio.create_task(work)
    leaving = asyncio.create_task(_disconnected(receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        leaving.cancel()
        working.cancel()  # has no effect on work that is done
        await asyncio.gather(working, leaving, return_exceptions=True)
    if not working.cancelled():
        working.result()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
