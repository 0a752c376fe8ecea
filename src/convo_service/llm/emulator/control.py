"""The emulator's own routes, for tests and benches in other processes; none of them is under /v1."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from convo_service.llm.emulator.calls import Journal


class Control:
    """GET calls; POST faults, replies, reset."""

    def __init__(
        self,
        journal: Journal,
        fail_next: Callable[..., None],
        reply_next: Callable[..., None],
        reset: Callable[[], None],
    ) -> None:
        self._journal = journal
        self._fail_next = fail_next
        self._reply_next = reply_next
        self._reset = reset

    def routes(self) -> list[Route]:
        """The routes, ready to be mounted."""
        return [
            Route("/_emulator/calls", self._calls, methods=["GET"]),
            Route("/_emulator/faults", self._faults, methods=["POST"]),
            Route("/_emulator/replies", self._replies, methods=["POST"]),
            Route("/_emulator/reset", self._forget, methods=["POST"]),
        ]

    async def _calls(self, _: Request) -> Response:
        return JSONResponse(dict(self._journal.calls))

    async def _faults(self, request: Request) -> Response:
        return await _obey(self._fail_next, request)

    async def _replies(self, request: Request) -> Response:
        return await _obey(self._reply_next, request)

    async def _forget(self, _: Request) -> Response:
        self._reset()
        return Response(status_code=204)


async def _obey(command: Callable[..., None], request: Request) -> Response:
    try:
        command(**await request.json())
    except (TypeError, ValueError) as error:
        return JSONResponse({"error": {"message": str(error)}}, status_code=400)
    return Response(status_code=204)
