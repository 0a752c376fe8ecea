"""What route handlers ask for: a transaction, a reading transaction, a service, a scope."""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import Depends, Header, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy.ext.asyncio import AsyncSession

from convo_service.db.engine import Database
from convo_service.domain.conditions import Conditions
from convo_service.errors import InsufficientScope, InvalidApiKey, InvalidRequest
from convo_service.services.arrivals import Clock
from convo_service.services.budgets import Budgets
from convo_service.services.catalog import Catalogs
from convo_service.services.commands import Commands
from convo_service.services.conversations import ConversationService
from convo_service.services.erasures import Erasures
from convo_service.services.gauges import Gauges
from convo_service.services.keys import Holder, Keys, Scope
from convo_service.services.previews import Previews
from convo_service.services.revisions import Revisions
from convo_service.services.sessions import Sessions
from convo_service.services.tombstones import Marker
from convo_service.services.turns import Turns
from convo_service.settings import Settings

bearer = HTTPBearer(auto_error=False, scheme_name="key", description="A key of `convo-service keys create`")


@dataclass(frozen=True, slots=True)
class Services:
    """All that the routes stand on, made once by `create_app`."""

    settings: Settings
    clock: Clock
    database: Database
    keys: Keys
    budgets: Budgets
    catalogs: Catalogs
    commands: Commands
    conversations: ConversationService
    turns: Turns
    previews: Previews
    erasures: Erasures
    gauges: Gauges
    revisions: Revisions
    sessions: Sessions


async def get_services(request: Request) -> Services:
    """The services of this app."""
    services: Services = request.app.state.services
    return services


Wired = Annotated[Services, Depends(get_services)]


async def get_tx(services: Wired) -> AsyncIterator[AsyncSession]:
    """A transaction that commits before the answer leaves (scope="function"), so that 200 means stored."""
    async with services.database.write.begin() as tx:
        yield tx


async def get_read_tx(services: Wired) -> AsyncIterator[AsyncSession]:
    """A transaction that the database itself keeps from writing."""
    async with services.database.read.begin() as tx:
        yield tx


Tx = Annotated[AsyncSession, Depends(get_tx, scope="function")]
ReadTx = Annotated[AsyncSession, Depends(get_read_tx, scope="function")]


async def get_now(services: Wired) -> datetime:
    """The time of this request, by the clock that the app was given."""
    return services.clock()


Now = Annotated[datetime, Depends(get_now)]


async def get_bot_pause(services: Wired) -> timedelta:
    """How long a person answers when nobody says."""
    return timedelta(minutes=services.settings.bot_pause_minutes)


BotPause = Annotated[timedelta, Depends(get_bot_pause)]


async def get_holder(
    services: Wired, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]
) -> Holder:
    """Who asks."""
    if credentials is None:
        raise InvalidApiKey
    return await services.keys.authenticate(credentials.credentials, now=services.clock())


def needs(*scopes: Scope) -> Any:
    """A dependency that lets keys of these scopes pass; `admin` always may. The published contract names them."""
    allowed = frozenset((*scopes, Scope.ADMIN))

    async def check(services: Wired, holder: Annotated[Holder, Depends(get_holder)]) -> None:
        services.budgets.admit(holder.key_id)  # here and not in `get_holder`, which some routes ask for twice
        if holder.scope not in allowed:
            raise InsufficientScope

    check.allowed = allowed  # type: ignore[attr-defined]
    return Security(check, scopes=[scope.value for scope in Scope if scope in allowed])


def scopes_of(dependencies: Iterable[Any]) -> frozenset[Scope]:
    """The scopes that may pass all of a route's dependencies."""
    return frozenset.intersection(
        frozenset(Scope), *(one.dependency.allowed for one in dependencies if hasattr(one.dependency, "allowed"))
    )


async def get_author(holder: Annotated[Holder, Depends(get_holder)]) -> Literal["operator", "gateway"]:
    """Who writes a note: a gateway by its own key, else an operator."""
    return "gateway" if holder.scope is Scope.GATEWAY else "operator"


Author = Annotated[Literal["operator", "gateway"], Depends(get_author)]


async def get_key_id(holder: Annotated[Holder, Depends(get_holder)]) -> str:
    """The key that is used, for the records."""
    return holder.key_id


KeyId = Annotated[str, Depends(get_key_id)]


async def get_marker(services: Wired) -> Marker:
    """What tells identities that were erased."""
    return Marker(await services.erasures.pepper.read())


Marks = Annotated[Marker, Depends(get_marker)]


async def get_conditions(
    if_match: Annotated[str | None, Header(description="The ETag of what is to be changed, or *")] = None,
    if_none_match: Annotated[str | None, Header(description="An ETag that is known already; * for any")] = None,
) -> Conditions:
    """What the caller takes to be there."""
    return Conditions(if_match, if_none_match)


Given = Annotated[Conditions, Depends(get_conditions)]

ADMIN = needs()
GATEWAY = needs(Scope.GATEWAY)
DASHBOARD = needs(Scope.DASHBOARD)
ANYBODY = needs(Scope.GATEWAY, Scope.DASHBOARD)


async def only_known_parameters(request: Request) -> None:
    """Refuse a query parameter that the published contract does not name: it is always a misunderstanding."""
    if not request.query_params:
        return
    known = _published(request)
    unknown = sorted(name for name in request.query_params if name not in known)
    if unknown:
        expected = ", ".join(sorted(known)) or "none"
        raise InvalidRequest(f"Unknown query parameter; this path knows: {expected}")


def published_operations(request: Request) -> dict[str, Any]:
    """What the published contract says of a request's path, by method in small letters; empty when it is silent."""
    path = getattr(request.scope.get("route"), "path", "")
    operations: dict[str, Any] = request.app.openapi()["paths"].get(path, {})
    return operations


def _published(request: Request) -> frozenset[str]:
    operation = published_operations(request).get(request.method.lower(), {})
    return frozenset(one["name"] for one in operation.get("parameters", ()) if one["in"] == "query")
