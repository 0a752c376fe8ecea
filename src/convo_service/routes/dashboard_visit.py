"""Who visits the dashboard, with which session, in which language; and what a form has to be."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

from fastapi import Depends, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from convo_service.dashboard import formats, pages
from convo_service.dashboard.pages import Manner
from convo_service.dashboard.texts import TEXTS
from convo_service.errors import FormExpired, InsufficientScope, InvalidRequest, NotSignedIn
from convo_service.routes.deps import Wired
from convo_service.services.keys import Scope
from convo_service.services.sessions import LASTS, Session

SECURE, PLAIN = "__Host-convo_session", "convo_session"
LANGUAGE = "convo_language"
HOME = "/dashboard"
MAX_FIELDS = 20
YEAR_SECONDS = 365 * 86_400
LOOPBACK = frozenset(("localhost", "127.0.0.1", "::1"))
_PLACE = re.compile(r"/dashboard(/[A-Za-z0-9_-]+)*")
FORM = "application/x-www-form-urlencoded"


def manner_of(request: Request) -> Manner:
    """How to write to whoever asks: the language that was chosen, else the browser's."""
    services = request.app.state.services
    chosen = request.cookies.get(LANGUAGE)
    language = formats.preferred(chosen or request.headers.get("accept-language", ""))
    return Manner(language, ZoneInfo(services.settings.dashboard_timezone), services.clock())


def is_plain_loopback(request: Request) -> bool:
    """Whether a browser asks its own machine without TLS: not every one keeps a Secure cookie then.

    Both the name in the address bar and the other end have to be of this machine.
    """
    other = request.client.host if request.client else ""
    return request.url.scheme == "http" and request.url.hostname in LOOPBACK and other in LOOPBACK


def cookie_name(request: Request) -> str:
    """The session's cookie: one that only HTTPS carries, but on a loopback address."""
    return PLAIN if is_plain_loopback(request) else SECURE


def keep_session(request: Request, response: Response, token: str) -> None:
    """Give the browser its cookie."""
    name = cookie_name(request)
    response.set_cookie(
        name,
        token,
        max_age=int(LASTS.total_seconds()),
        path="/",
        secure=name == SECURE,
        httponly=True,
        samesite="strict",
    )


def forget_session(request: Request, response: Response) -> None:
    """Take the cookie back."""
    name = cookie_name(request)
    response.delete_cookie(name, path="/", secure=name == SECURE, httponly=True, samesite="strict")


def safe_place(path: str) -> str:
    """A page of the dashboard to go on to; anything else is its first page."""
    return path if _PLACE.fullmatch(path) else HOME


def go(path: str, **query: str) -> RedirectResponse:
    """See another page, by GET."""
    more = "&".join(f"{name}={value}" for name, value in query.items() if value)
    return RedirectResponse(f"{path}?{more}" if more else path, status_code=303)


@dataclass(frozen=True)
class Visit:
    """One request of somebody who is signed in."""

    request: Request
    session: Session

    @cached_property
    def manner(self) -> Manner:
        """How the reader is written to."""
        return manner_of(self.request)

    @property
    def may_write(self) -> bool:
        """Whether the session's key may do what a gateway's may."""
        return self.session.holder.scope in (Scope.GATEWAY, Scope.ADMIN)

    @property
    def is_admin(self) -> bool:
        """Whether it may do everything."""
        return self.session.holder.scope is Scope.ADMIN

    def page(self, template: str, here: str, *, status: int = 200, **values: Any) -> HTMLResponse:
        """A whole page; `here` is its place in the navigation."""
        given = {
            "here": here,
            "path": self.request.url.path,
            "csrf": self.session.csrf,
            "done": self._done(),
            "problem": self._problem(),
            "may_write": self.may_write,
            "is_admin": self.is_admin,
            **values,
        }
        return HTMLResponse(pages.render(template, self.manner, given), status)

    def part(self, template: str, **values: Any) -> HTMLResponse:
        """A part of a page that a script puts in its place."""
        return HTMLResponse(pages.render(template, self.manner, values))

    def _done(self) -> str | None:
        done = self.request.query_params.get("done", "")
        return done if f"done_{done}" in TEXTS else None

    def _problem(self) -> str | None:
        if self.request.query_params.get("problem") != "erase_mismatch":
            return None
        return self.manner.text("erase_mismatch", word=self.manner.text("erase_word"))


async def get_visit(request: Request, services: Wired) -> Visit:
    """Raises NotSignedIn, and RateLimited as for every request with a key."""
    token = request.cookies.get(cookie_name(request))
    if not token:
        raise NotSignedIn
    session = await services.sessions.find(token, now=services.clock())
    services.budgets.admit(session.holder.key_id)
    return Visit(request, session)


Visiting = Annotated[Visit, Depends(get_visit)]


def may(*scopes: Scope) -> Any:
    """A dependency that lets sessions of these scopes pass, as `needs` does on the API's routes."""
    allowed = frozenset((*scopes, Scope.ADMIN))

    async def check(visit: Visiting) -> None:
        if visit.session.holder.scope not in allowed:
            raise InsufficientScope

    check.allowed = allowed  # type: ignore[attr-defined]
    return Depends(check)


MAY_READ = may(Scope.DASHBOARD)
MAY_WRITE = may(Scope.GATEWAY)
ADMIN_ONLY = may()


async def fields_of(request: Request) -> dict[str, str]:
    """The fields of a form; raises FormExpired when another site sent it, and InvalidRequest."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise FormExpired
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise InvalidRequest
    try:
        return dict(parse_qsl((await request.body()).decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS))
    except ValueError:
        raise InvalidRequest from None


async def get_form(request: Request, visit: Visiting) -> Mapping[str, str]:
    """The fields of a form of this session."""
    fields = await fields_of(request)
    visit.session.check(fields.pop("csrf", ""))
    return fields


Form = Annotated[Mapping[str, str], Depends(get_form)]
OF_THIS_SESSION = Depends(get_form)
