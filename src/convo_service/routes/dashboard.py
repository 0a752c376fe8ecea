"""The dashboard's door: an app of pages beside the API's routes, with its own errors and headers."""

from collections.abc import Mapping

import sqlalchemy as sa
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from convo_service import errors
from convo_service.dashboard import pages
from convo_service.db.faults import is_passing
from convo_service.errors import ConvoError
from convo_service.routes import dashboard_actions, dashboard_door, dashboard_pages, dashboard_users
from convo_service.routes.dashboard_visit import HOME, go, manner_of, safe_place
from convo_service.routes.deps import Services
from convo_service.telemetry import failure, get_logger, request_id

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Mapping[str, str] = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
TOLD_APART = (403, 404, 422, 429, 503)  # the other statuses are told as 500
log = get_logger()


class Door(BaseRoute):
    """Lets `/dashboard` and what is below it into an app of its own; no other path ever gets there."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Starlette asks each route in turn."""
        inside = scope["type"] == "http" and (scope["path"] == HOME or scope["path"].startswith(f"{HOME}/"))
        return (Match.FULL if inside else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer inside."""
        await self._app(scope, receive, send)


class PageEdge:
    """Puts the headers on every answer, and makes a page of what nobody expected."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def guarded(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                given = {name for name, _ in message.get("headers", ())}
                message["headers"] = [
                    *message.get("headers", ()),
                    *((k.encode(), v.encode()) for k, v in HEADERS.items() if k.encode() not in given),
                ]
            await send(message)

        try:
            await self._app(scope, receive, guarded)
        except Exception as error:
            log.error("request_crashed", exc_info=error)
            if started:
                raise
            await _page(Request(scope, receive), ConvoError())(scope, receive, guarded)


def make(services: Services, telemetry: TelemetryConfig) -> FastAPI:
    """The app of pages."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False, telemetry=telemetry)
    app.state.services = services
    app.add_middleware(PageEdge)
    app.add_exception_handler(ConvoError, _on_known)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    for fault in (OSError, sa.exc.SQLAlchemyError):
        app.add_exception_handler(fault, _on_database_fault)
    for room in (dashboard_door, dashboard_pages, dashboard_users, dashboard_actions):
        app.include_router(room.router)
    return app


async def _on_known(request: Request, error: Exception) -> Response:
    assert isinstance(error, ConvoError)  # noqa: S101 - what it is registered for
    if isinstance(error, errors.NotSignedIn):
        return _to_login(request)
    return _page(request, error)


def _to_login(request: Request) -> Response:
    """A page is asked for again after signing in; a script is told to load the page that says so."""
    if "hx-request" in request.headers:
        return Response(status_code=401, headers={"HX-Redirect": f"{HOME}/login"})
    place = safe_place(request.url.path) if request.method == "GET" else HOME
    return go(f"{HOME}/login", next="" if place == HOME else place)


async def _on_invalid(request: Request, _error: Exception) -> Response:
    return _page(request, errors.InvalidRequest())


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    kinds = {404: errors.NotFound, 405: errors.MethodNotAllowed, 413: errors.PayloadTooLarge}
    return _page(request, kinds.get(error.status_code, ConvoError)())


async def _on_database_fault(request: Request, error: Exception) -> Response:
    if not is_passing(error):
        raise error
    log.error("database_failed", **failure(error))
    return _page(request, errors.DatabaseUnavailable())


def _page(request: Request, error: ConvoError) -> HTMLResponse:
    manner = manner_of(request)
    status = error.status_code
    told = {401: "403", 405: "404", 413: "422", 409: "503", 502: "503"}.get(
        status, str(status) if status in TOLD_APART else "500"
    )
    key = "error_form" if isinstance(error, errors.FormExpired) else f"error_{told}"
    values = {
        "status": status,
        "title": manner.text(key),
        "lead": manner.text(f"{key}_lead"),
        "request_id": request_id.get() or "",
    }
    return HTMLResponse(pages.render("error.html", manner, values), status, dict(error.headers))
