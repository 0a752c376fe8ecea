"""Signing in and out of the dashboard, the language, and the files that a browser fetches."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse

from convo_service.dashboard import pages
from convo_service.errors import InsufficientScope, InvalidApiKey, NotFound, NotSignedIn, TooManyLogins
from convo_service.routes.dashboard_visit import (
    HOME,
    LANGUAGE,
    OF_THIS_SESSION,
    SECURE,
    YEAR_SECONDS,
    cookie_name,
    fields_of,
    forget_session,
    get_visit,
    go,
    keep_session,
    manner_of,
    safe_place,
)
from convo_service.routes.deps import Wired

router = APIRouter(prefix=HOME)

REFUSALS = {InvalidApiKey: "login_wrong", InsufficientScope: "login_gateway", TooManyLogins: "login_too_many"}


@router.get("/static/{name:path}")
async def get_asset(name: str) -> Response:
    """The address has the version in it, so that it may be kept."""
    if name not in pages.TYPES:
        raise NotFound
    kept = {"cache-control": "public, max-age=31536000, immutable"}
    return Response(pages.asset(name), media_type=pages.TYPES[name], headers=kept)


@router.get("/login")
async def show_login(
    request: Request, next: Annotated[str, Query()] = "", cookie: str = "", out: str = ""
) -> HTMLResponse:
    """The form, and why it is shown again."""
    said = "login_over" if out else None
    return _login(request, "login_cookie" if cookie else None, safe_place(next), said=said)


@router.post("/login")
async def sign_in(request: Request, services: Wired) -> Response:
    """The key is looked at once; from here on the browser shows a cookie."""
    fields = await fields_of(request)
    place = safe_place(fields.get("next", ""))
    address = request.client.host if request.client else ""
    try:
        with services.budgets.of_login(address):
            token = await services.sessions.begin(fields.get("key", "").strip(), now=services.clock())
    except (InvalidApiKey, InsufficientScope, TooManyLogins) as error:
        return _login(request, REFUSALS[type(error)], place, status=error.status_code)
    answer = go(f"{HOME}/welcome", to=place)
    keep_session(request, answer, token)
    return answer


@router.get("/welcome")
async def welcome(request: Request, services: Wired, to: str = "") -> Response:
    """Where signing in leads: here it shows whether the browser has kept the cookie."""
    try:
        await get_visit(request, services)
    except NotSignedIn:
        return go(f"{HOME}/login", cookie="none")
    return go(safe_place(to))


@router.post("/logout", dependencies=[OF_THIS_SESSION])
async def sign_out(request: Request, services: Wired) -> Response:
    """The session ends here, whatever the browser keeps."""
    await services.sessions.end(request.cookies[cookie_name(request)])
    answer = go(f"{HOME}/login", out="yes")
    forget_session(request, answer)
    return answer


@router.get("/language")
async def choose_language(request: Request, to: Literal["it", "en"], back: str = "") -> Response:
    """From here on in this language."""
    answer = go(safe_place(back))
    answer.set_cookie(
        LANGUAGE,
        to,
        max_age=YEAR_SECONDS,
        path=HOME,
        secure=cookie_name(request) == SECURE,
        httponly=True,
        samesite="lax",
    )
    return answer


def _login(
    request: Request, problem: str | None, place: str, *, status: int = 200, said: str | None = None
) -> HTMLResponse:
    manner = manner_of(request)
    values = {
        "problem": manner.text(problem) if problem else None,
        "said": manner.text(said) if said else None,
        "next": place,
    }
    return HTMLResponse(pages.render("login.html", manner, values), status)
