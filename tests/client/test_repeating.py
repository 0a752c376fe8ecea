"""What the client sends again, how long it waits for it, and what it never sends again."""

from collections.abc import Awaitable, Callable

import httpx
import pytest
from fastapi import FastAPI

from convo_service import schemas
from convo_service.client import Conflict, ConvoClient, Erased, ProblemError, TooMany, Unavailable
from convo_service.schemas import AppendedMessage, GetOrCreate, InboundMessage, NewTurn
from tests.client.conftest import Waits, Wire

MARIA = "+393331234567"
MESSAGE = InboundMessage(id="wamid.1", text="ciao")
Call = Callable[[ConvoClient], Awaitable[object]]


def problem(status: int, code: str, retry_after: int | None = None) -> httpx.Response:
    """A refusal of the service."""
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    body = {"type": "urn:x", "title": "x", "status": status, "code": code, "detail": "x", "instance": "/"}
    return httpx.Response(status, json=body | {"request_id": "r"}, headers=headers)


async def a_message(convo: ConvoClient) -> object:
    """One effect, however often it comes."""
    return await convo.get_or_create(GetOrCreate(identity=MARIA, message=MESSAGE))


async def a_turn(convo: ConvoClient) -> object:
    """One reply, however often it comes."""
    return await convo.turn(NewTurn(identity=MARIA, message=MESSAGE))


async def with_an_id(convo: ConvoClient) -> object:
    """Known by its id."""
    return await convo.append("conv_1", [AppendedMessage(direction="outbound", id="wamid.1.reply", text="ecco")])


async def without_an_id(convo: ConvoClient) -> object:
    """Stored again each time."""
    named = AppendedMessage(direction="outbound", id="wamid.1.reply", text="ecco")
    return await convo.append("conv_1", [named, AppendedMessage(direction="outbound", text="ecco")])


async def a_reset(convo: ConvoClient) -> object:
    """Opens a conversation each time."""
    return await convo.reset("usr_1")


async def a_note(convo: ConvoClient) -> object:
    """Written each time."""
    return await convo.add_note("usr_1", schemas.NewNote(kind="note", text="x"))


async def a_stream(convo: ConvoClient) -> object:
    """One reply, however often it comes."""
    return [event async for event in convo.stream_turn(NewTurn(identity=MARIA, message=MESSAGE))]


async def an_update(convo: ConvoClient) -> object:
    """The same afterwards, however often it comes."""
    return await convo.put_profile("usr_1", schemas.ProfileUpdate(name="Maria"))


REPEATABLE = [a_message, a_turn, with_an_id, a_stream, an_update]
ONCE = [without_an_id, a_reset, a_note]


async def tries(call: Call, waits: Waits, *told: Exception | httpx.Response) -> int:
    """How often the request was made, until a 418 or an error ended it."""
    wire = Wire(*told, httpx.Response(418))
    async with ConvoClient("http://convo", "k", transport=wire, patience=waits.patience()) as convo:
        with pytest.raises((ProblemError, httpx.TransportError)):
            await call(convo)
    return len(wire.requests)


@pytest.mark.parametrize("call", [*REPEATABLE, *ONCE])
@pytest.mark.parametrize(
    "told",
    [
        pytest.param(lambda: httpx.ConnectError("refused"), id="nobody listens"),
        pytest.param(lambda: httpx.ConnectTimeout("slow"), id="no connection in time"),
        pytest.param(lambda: httpx.PoolTimeout("full"), id="no place in the pool"),
        pytest.param(lambda: problem(429, "rate_limited", 7), id="over the rate"),
        pytest.param(lambda: problem(409, "opening_in_progress", 1), id="an opening"),
        pytest.param(lambda: problem(409, "turn_in_progress", 1), id="a turn"),
    ],
)
async def test_what_surely_had_no_effect(
    call: Call, told: Callable[[], Exception | httpx.Response], waits: Waits
) -> None:
    """A request that was not carried out is made again, whatever it is."""
    assert await tries(call, waits, told(), told()) == 3


UNKNOWN = [
    pytest.param(lambda: httpx.ReadTimeout("slow"), id="no answer in time"),
    pytest.param(lambda: httpx.ReadError("cut"), id="the connection was cut"),
    pytest.param(lambda: httpx.RemoteProtocolError("closed"), id="the server went away"),
    pytest.param(lambda: problem(503, "database_unavailable", 5), id="the database failed"),
    pytest.param(lambda: problem(503, "upstream_unavailable", 5), id="OpenAI failed"),
    pytest.param(lambda: httpx.Response(502, text="Bad Gateway"), id="a proxy's 502"),
    pytest.param(lambda: httpx.Response(504, text="Timeout"), id="a proxy's 504"),
]


@pytest.mark.parametrize("call", REPEATABLE)
@pytest.mark.parametrize("told", UNKNOWN)
async def test_what_may_have_had_one(call: Call, told: Callable[[], Exception | httpx.Response], waits: Waits) -> None:
    """With an unknown outcome only a request that has one effect is made again."""
    assert await tries(call, waits, told()) == 2


@pytest.mark.parametrize("call", ONCE)
@pytest.mark.parametrize("told", UNKNOWN)
async def test_what_is_never_made_twice(
    call: Call, told: Callable[[], Exception | httpx.Response], waits: Waits
) -> None:
    """A message without an id, a reset or a note is not sent again when it may have been taken."""
    assert await tries(call, waits, told()) == 1


@pytest.mark.parametrize("call", [*REPEATABLE, *ONCE])
@pytest.mark.parametrize(
    ("status", "code"),
    [
        pytest.param(400, "invalid_json", id="malformed"),
        pytest.param(401, "invalid_api_key", id="no key"),
        pytest.param(404, "user_not_found", id="nobody"),
        pytest.param(409, "identity_taken", id="another's"),
        pytest.param(410, "message_erased", id="erased"),
        pytest.param(422, "message_id_reused", id="reused"),
        pytest.param(500, "internal_error", id="a fault"),
        pytest.param(502, "upstream_failed", id="the model gave no reply"),
        pytest.param(503, "model_not_configured", id="an operator has to act"),
    ],
)
async def test_what_is_final(call: Call, status: int, code: str, waits: Waits) -> None:
    """What would be refused again, or would cost again, is not repeated by itself."""
    assert await tries(call, waits, problem(status, code)) == 1


async def test_retry_after(waits: Waits) -> None:
    """The service says how long to wait; without a word the waits grow, and are never quite the same."""
    told = [problem(503, "database_unavailable", 5), *(httpx.Response(503) for _ in range(7))]
    assert await tries(a_message, waits, *told) == 9
    named, *grown = waits.slept
    assert named == 5
    for number, wait in enumerate(grown, 1):
        most = min(0.2 * 2**number, 5.0)
        assert most / 2 <= wait <= most


async def test_the_budget(waits: Waits) -> None:
    """No wait is begun that would end after the budget: an hour is nothing to wait for."""
    assert await tries(a_message, waits, problem(429, "reset_budget_spent", 1800)) == 1
    assert waits.slept == []
    assert await tries(a_message, waits, *(problem(429, "rate_limited", 14) for _ in range(9))) == 3
    assert waits.slept == [14, 14]


async def test_no_patience() -> None:
    """Whoever has a queue of his own switches repeats off."""
    waits = Waits()
    wire = Wire(problem(429, "turn_budget_spent", 1))
    async with ConvoClient("http://convo", "k", transport=wire, patience=waits.patience(0)) as convo:
        with pytest.raises(TooMany) as caught:
            await a_turn(convo)
    assert (caught.value.retry_after, len(wire.requests)) == (1, 1)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        pytest.param(409, "identity_taken", Conflict, id="409"),
        pytest.param(410, "message_erased", Erased, id="410"),
        pytest.param(500, "internal_error", Unavailable, id="500"),
    ],
)
async def test_kinds(status: int, code: str, kind: type[ProblemError], waits: Waits) -> None:
    """The class of an error says what kind of refusal it is."""
    wire = Wire(problem(status, code))
    async with ConvoClient("http://convo", "k", transport=wire, patience=waits.patience()) as convo:
        with pytest.raises(kind, match=code):
            await a_message(convo)


@pytest.mark.parametrize(
    ("header", "seconds"), [("7", 7), ("\u00b2", None), ("Wed, 21 Oct 2026 07:28:00 GMT", None), ("9" * 10, None)]
)
async def test_an_answer_that_is_not_ours(header: str, seconds: int | None) -> None:
    """A proxy's page is a refusal like any other, and a Retry-After that is no number of seconds is none."""
    page = httpx.Response(502, headers=[(b"Retry-After", header.encode("latin-1"))], text="<html>Bad Gateway</html>")
    async with ConvoClient("http://convo", "k", transport=Wire(page), patience=Waits().patience(0)) as convo:
        with pytest.raises(ProblemError) as caught:
            await convo.look_up("+390000000")
    found = caught.value.problem
    assert (found.status, found.code, found.title, found.instance) == (502, "http_502", "Bad Gateway", "/users/lookup")
    assert caught.value.retry_after == seconds


async def test_an_answer_that_was_lost(app: FastAPI, key: str, waits: Waits) -> None:
    """The service took the message, nobody heard of it, and the repeat is told what the first one was."""
    service = httpx.ASGITransport(app=app)

    class Deaf(httpx.AsyncBaseTransport):
        heard = 0

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            answer = await service.handle_async_request(request)
            self.heard += 1
            if self.heard == 1:
                raise httpx.ReadError("cut")
            return answer

    async with ConvoClient("http://convo", key, transport=Deaf(), patience=waits.patience()) as convo:
        got = await convo.get_or_create(GetOrCreate(identity=MARIA, message=MESSAGE))
        assert (got.duplicate, got.input) == (True, "ciao")
        user = await convo.look_up(MARIA)
    assert (user.message_count, user.conversation_count) == (1, 1)
