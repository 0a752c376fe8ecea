"""The baseline in the ledger against the thing itself: the same talk in one endless conversation."""

from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from dataclasses import dataclass

import httpx2
import openai
import pytest
import sqlalchemy as sa

from convo_service.db.engine import Database
from convo_service.db.models import ModelCall
from convo_service.llm.emulator import Emulator
from tests.conftest import Clock
from tests.gateway import Gateway
from tests.model import Json, newest

INSTRUCTIONS = "Rispondi con cortesia e solo su ordini, prezzi e consegne. " * 12
SAID = (
    "Buongiorno, avete la farina Manitoba da 25 kg?",
    "E quanto costa un bancale intero, consegna compresa?",
    "Ok",
    "L'ordine PO-2231 deve arrivare entro venerdì, solo al mattino: prima delle 8 il magazzino è chiuso.",
    "Grazie mille 🙏",
)


def counted(text: str) -> int:
    """A tokenizer to which letters, digits and the rest cost differently, so that no two texts have one ratio."""
    return sum(5 if one.isdigit() else 1 if one.isalpha() or one == " " else 6 for one in text) // 5


@dataclass(frozen=True)
class Endless:
    """The old way: one conversation for ever, with the same replies."""

    sdk: openai.AsyncOpenAI
    conversation_id: str

    async def input_tokens(self, text: str) -> int:
        """Ask, and say what it took."""
        made = await self.sdk.responses.create(
            model="gpt-5-mini", conversation=self.conversation_id, instructions=INSTRUCTIONS, input=text
        )
        assert made.usage is not None
        return made.usage.input_tokens


def answer(request: Json) -> str:
    """The reply is a matter of the message alone, so that both ways get the same."""
    return f"Risposta a: {newest(request)} Prezzo 12,50 € al kg, codice B472/7."


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """OpenAI, with that tokenizer."""
    with closing(Emulator(model=answer, count=counted)) as emulator:
        yield emulator


@pytest.fixture
async def endless() -> AsyncIterator[Endless]:
    """A second OpenAI."""
    with closing(Emulator(model=answer, count=counted)) as emulator:
        http = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=emulator))
        async with openai.AsyncOpenAI(api_key="x", base_url="http://emulator/v1", http_client=http) as sdk:
            yield Endless(sdk, (await sdk.conversations.create()).id)


async def talk(gateway: Gateway, clock: Clock, endless: Endless) -> list[int]:
    """Forty turns with pauses, a cap that is reached and a `/new`; what the endless conversation took for each."""
    real = []
    for number in range(40):
        clock.advance(**({"days": 3} if number % 9 == 8 else {"minutes": 2}))
        text = f"{SAID[number % len(SAID)]} ({number})"
        await gateway.ask(f"/new {text}" if number == 22 else text)
        real.append(await endless.input_tokens(text))
    return real


async def ledger(database: Database) -> list[ModelCall]:
    """All calls, oldest first."""
    async with database.read.begin() as tx:
        return list((await tx.scalars(sa.select(ModelCall).order_by(ModelCall.called_at))).all())


@pytest.mark.parametrize(
    "env", [{"openai_model": "gpt-5-mini", "instructions": INSTRUCTIONS, "max_conversation_messages": 12}]
)
async def test_over_many_windows(gateway: Gateway, clock: Clock, endless: Endless, database: Database) -> None:
    """Each reply's baseline is within three per cent of the real thing, over windows that end in every way."""
    real = await talk(gateway, clock, endless)
    calls = await ledger(database)
    conversations = await gateway.listed("/conversations", limit=100)
    assert {one["created_reason"] for one in conversations} == {
        "first_contact",
        "idle_timeout",
        "message_cap",
        "user_reset",
    }
    assert [call.baseline_input_tokens for call in calls] == [pytest.approx(tokens, rel=0.03) for tokens in real]
    assert sum(call.baseline_input_tokens or 0 for call in calls) == pytest.approx(sum(real), rel=0.03)
    assert sum(call.input_tokens or 0 for call in calls) < 0.7 * sum(real)


@pytest.mark.parametrize(
    "env",
    [{"openai_model": "gpt-5-mini", "instructions": INSTRUCTIONS, "rollout_percent": 0}],
)
async def test_outside_the_rollout(gateway: Gateway, clock: Clock, endless: Endless, database: Database) -> None:
    """Whoever keeps one endless conversation is the baseline himself, to the token, until he writes `/new`."""
    real = (await talk(gateway, clock, endless))[:22]
    calls = (await ledger(database))[:22]
    assert [call.input_tokens for call in calls] == [call.baseline_input_tokens for call in calls] == real
    assert [call.cost_usd for call in calls] == [call.baseline_cost_usd for call in calls]
