"""Every call of the client, against the real service on both databases, in process and over a socket."""

import subprocess
import sys
from typing import Any

import pytest

from convo_service import schemas
from convo_service.client import ConvoClient, Invalid, NotAllowed, NotFound
from convo_service.schemas import AppendedMessage, GetOrCreate, InboundMessage, NewTurn
from tests.conftest import Clock

MARIA = "+393331234567"


@pytest.fixture
def env() -> dict[str, object]:
    """A model for turns."""
    return {"openai_model": "gpt-5-mini"}


def said(text: str, id: str, **more: Any) -> GetOrCreate:
    """A message that arrives."""
    return GetOrCreate(identity=MARIA, message=InboundMessage(id=id, text=text), **more)


def test_it_loads_little() -> None:
    """Importing the client loads neither the web framework nor the ORM nor OpenAI's SDK."""
    code = (
        "import sys, convo_service.client; "
        "print(sorted({'fastapi', 'starlette', 'sqlalchemy', 'openai', 'httpx2', 'alembic'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert shown.stdout.strip() == "[]"


async def test_a_gateways_day(convo: ConvoClient) -> None:
    """A gateway gets the conversation, appends the reply, fills the profile, keeps notes, closes and resets."""
    got = await convo.get_or_create(said("ciao", "wamid.1"))
    assert (got.created, got.input) == (True, "ciao")
    stored = await convo.append(got.conversation.id, [AppendedMessage(direction="outbound", text="Buongiorno")])
    assert [one.text for one in stored.data] == ["Buongiorno"]
    user = await convo.look_up("+39 333 1234567")
    assert (await convo.put_profile(user.id, schemas.ProfileUpdate(name="Maria"))).name == "Maria"
    assert (await convo.profile(user.id)).name == "Maria"
    note = await convo.add_note(user.id, schemas.NewNote(kind="issue", text="Attende la fattura"))
    assert [one.id async for one in convo.notes(user.id, schemas.NoteQuery(status="open"))] == [note.id]
    assert (await convo.change_note(note.id, schemas.NoteUpdate(status="resolved"))).status == "resolved"
    assert (await convo.close(got.conversation.id)).is_active is False
    assert (await convo.reset(user.id, forget=True)).created_reason == "operator"


async def test_turns(convo: ConvoClient) -> None:
    """A message is answered once, and its repeat gets the same reply."""
    request = NewTurn(identity=MARIA, message=InboundMessage(id="wamid.1", text="Avete la farina?"))
    turn = await convo.turn(request)
    again = await convo.turn(request)
    assert turn.reply is not None
    assert (again.duplicate, again.reply) == (True, turn.reply)
    assert (await convo.get_turn(turn.id)).status == "completed"


async def test_a_person_takes_over(convo: ConvoClient) -> None:
    """While a person answers the bot is silent; what a user edits or takes back follows."""
    first = NewTurn(identity=MARIA, message=InboundMessage(id="wamid.1", text="Avete la farina?"))
    user_id = (await convo.turn(first)).user_id
    assert (await convo.pause(user_id, minutes=30)).paused_until is not None
    silent = NewTurn(identity=MARIA, message=InboundMessage(id="wamid.2", text="C'è qualcuno?"))
    assert (await convo.turn(silent)).reply is None
    assert (await convo.resume(user_id)).paused_until is None
    edited = await convo.edit(schemas.NamedMessageEdit(identity=MARIA, id="wamid.2", text="C'è Anna?"))
    assert edited.text == "C'è Anna?"
    gone = await convo.revoke(schemas.NamedRevocation(identity=MARIA, id="wamid.2"))
    assert (
        gone.message is not None,
        (await convo.revoke(schemas.NamedRevocation(identity=MARIA, id="w.9"))).message,
    ) == (
        True,
        None,
    )


async def test_a_dashboards_day(convo: ConvoClient) -> None:
    """A dashboard reads people, conversations, threads, chains, seeds and savings, and corrects a seed."""
    await convo.get_or_create(said("Vorrei la farina Manitoba da 25 kg", "wamid.1"))
    got = await convo.get_or_create(said("/new Avete il lievito?", "wamid.2"))
    one, user_id = got.conversation, got.conversation.user_id
    assert (await convo.conversation(one.id)).id == one.id
    assert (await convo.user(user_id)).conversation_count == 2
    assert [user.id async for user in convo.users()] == [user_id]
    assert [link.id async for link in convo.chain(one.id)] == [one.parent_conversation_id, one.id]
    assert [said.text async for said in convo.thread(one.id)] == ["/new Avete il lievito?"]
    assert len([said async for said in convo.whole_thread(user_id)]) == 2
    assert len([found async for found in convo.search(schemas.SearchQuery(q="manitoba"))]) == 1
    assert [summary async for summary in convo.summaries(user_id)] == []
    assert (await convo.savings()).window.users == 0
    seed = await convo.seed(user_id)
    entry = next(entry.id for entry in seed.entries if entry.id)
    pinned = await convo.change_seed_entry(user_id, entry, schemas.SeedEntryUpdate(pinned=True))
    assert [found.pinned for found in pinned.entries if found.id == entry] == [True]
    removed = await convo.remove_seed_entry(user_id, entry)
    assert entry in [found.id for found in removed.removed]


async def test_regenerating_a_seed(convo: ConvoClient) -> None:
    """The model reads the last conversation when an operator says so."""
    got = await convo.get_or_create(said("Vorrei la farina Manitoba da 25 kg", "wamid.1"))
    assert (await convo.regenerate_seed(got.conversation.user_id)).text


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        pytest.param(None, [4, 3, 2, 1, 0], id="newest first"),
        pytest.param({"limit": 2}, [4, 3, 2, 1, 0], id="in pages of two"),
        pytest.param({"limit": 2, "order": "asc"}, [0, 1, 2, 3, 4], id="oldest first"),
        pytest.param({"limit": 2, "after": 3}, [2, 1, 0], id="from behind one"),
        pytest.param({"limit": 2, "before": 1}, [2, 3, 4], id="backwards from one"),
        pytest.param({"limit": 1, "after": 4, "before": 1}, [3, 2], id="between two"),
        pytest.param({"limit": 2, "is_active": False}, [3, 2, 1, 0], id="filtered"),
    ],
)
async def test_lists(convo: ConvoClient, clock: Clock, query: dict[str, Any] | None, expected: list[int]) -> None:
    """A list gives every row once, however it is cut into pages."""
    made = []
    for number in range(5):
        clock.advance(minutes=1)
        made.append((await convo.get_or_create(said("/new ciao", f"wamid.{number}"))).conversation.id)
    given = {name: made[one] if name in ("after", "before") else one for name, one in (query or {}).items()}
    wanted = schemas.ConversationQuery(**given) if query else None
    assert [one.id async for one in convo.conversations(wanted)] == [made[one] for one in expected]


async def test_a_page_is_read_when_it_is_wanted(convo: ConvoClient) -> None:
    """Whoever stops early asks for no more than he read."""
    for number in range(3):
        await convo.get_or_create(said("ciao", f"wamid.{number}"))
    user = await convo.look_up(MARIA)
    async for one in convo.whole_thread(user.id, schemas.ThreadQuery(limit=1)):
        assert one.external_id == "wamid.0"
        break


async def test_refusals(convo: ConvoClient) -> None:
    """A refusal comes out as an error of its kind, with the problem and its code."""
    with pytest.raises(NotFound) as caught:
        await convo.look_up("+390000000")
    assert (caught.value.status, caught.value.code) == (404, "user_not_found")
    assert caught.value.problem.request_id
    await convo.get_or_create(said("ciao", "wamid.1"))
    with pytest.raises(Invalid, match="message_id_reused"):
        await convo.get_or_create(said("addio", "wamid.1"))
    with pytest.raises(NotFound):
        await convo.conversation("../users?limit=1#")


@pytest.mark.parametrize("key", ["csk_nobody"])
async def test_a_key_that_is_none(convo: ConvoClient) -> None:
    """Without a valid key nothing is answered."""
    with pytest.raises(NotAllowed, match="invalid_api_key"):
        await convo.look_up(MARIA)
