"""Faults on request: what the next calls of an operation shall suffer instead of, or besides, the right answer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from convo_service.llm.emulator.wire import JSON_TYPE, SSE_TYPE, Answer, ApiError

_STATUS_OF = {"invalid_api_key": 401, "rate_limit_exceeded": 429, "insufficient_quota": 429}
_CODE_OF = {401: "invalid_api_key", 429: "rate_limit_exceeded"}
# What no client can decode is a broken connection to the SDK, in process as over a socket; an error raised here would
# not be: the in-process transport passes it on as it is.
_BROKEN = Answer(b"lost", headers={**JSON_TYPE, "content-encoding": "gzip"})


@dataclass
class Fault:
    """One order: which operation, how it goes wrong, and for how many calls."""

    operation: str
    status: int | None = None
    code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | bytes | None = None
    times: int = 1
    delay: float = 0.0
    after: bool = False
    hang: bool = False
    drip: float | None = None

    @property
    def failed_run(self) -> str | None:
        """The code of a model run that fails with HTTP 200: asked for as status 200 with a code."""
        return self.code if self.status == 200 and self.body is None and not self.after else None

    async def pause(self) -> None:
        """Waits as ordered; a hanging call ends only when its client goes away."""
        if self.delay:
            await asyncio.sleep(self.delay)
        if self.hang:
            await asyncio.Event().wait()

    def failure(self) -> Answer | None:
        """The wrong answer that was ordered, or None when the right one shall come (late, dripping or never)."""
        if self.body is not None:
            return self._raw(self.body)
        if self.failed_run is not None:
            return None
        if self.status is not None or self.code is not None:
            return self._refusal()
        if self.after:
            return _BROKEN
        return None if self.delay or self.hang or self.drip is not None else self._refusal()

    def _raw(self, body: str | bytes) -> Answer:
        content = body.encode() if isinstance(body, str) else body
        headers = JSON_TYPE
        if content.startswith((b"event:", b"data:")):
            headers = SSE_TYPE
        elif content.lstrip().startswith(b"<"):
            headers = {"content-type": "text/html; charset=utf-8"}
        return Answer(content, self.status or 200, {**headers, **_lower(self.headers)})

    def _refusal(self) -> Answer:
        status = self.status or _STATUS_OF.get(self.code or "", 400 if self.code else 500)
        code = self.code or _CODE_OF.get(status)
        return ApiError(status, f"The emulator was asked to fail: {code or status}.", code=code).answer(self.headers)


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


class Faults:
    """The faults still waiting, oldest first; "*" waits for any operation."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Queues a fault behind those already waiting."""
        self._waiting.append(fault)

    def take(self, operation: str) -> Fault | None:
        """The first fault that waits for this operation, used up by one call."""
        fault = next((each for each in self._waiting if each.operation in {operation, "*"}), None)
        if fault is not None:
            fault.times -= 1
            if fault.times <= 0:
                self._waiting.remove(fault)
        return fault

    def clear(self) -> None:
        """Forgets them all."""
        self._waiting.clear()
