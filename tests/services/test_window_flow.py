"""The main job through HTTP: one conversation per window, what carries over, and what is kept."""

from convo_service.llm.emulator import Emulator
from tests.conftest import Clock
from tests.gateway import Gateway


async def test_first_contact(gateway: Gateway, emulator: Emulator) -> None:
    """The first message of a person opens a conversation at OpenAI, without parent and without seed."""
    answer = await gateway.say("Buongiorno, avete farina 00?")
    conversation = answer["conversation"]
    assert answer["created"] is True
    assert conversation["created_reason"] == "first_contact"
    assert conversation["parent_conversation_id"] is None
    assert conversation["seed"] is None
    assert conversation["message_count"] == 1
    assert conversation["id"] in emulator.conversations()
    assert answer["message"]["conversation_id"] == conversation["id"]


async def test_expiry(gateway: Gateway, clock: Clock) -> None:
    """After 48 hours of silence the next message opens a new conversation, and the old one is closed and kept."""
    first = (await gateway.say("Vorrei 20 sacchi di farina"))["conversation"]
    clock.advance(hours=48)
    second = (await gateway.say("Eccomi di nuovo"))["conversation"]
    assert second["id"] != first["id"]
    assert second["created_reason"] == "idle_timeout"
    assert second["parent_conversation_id"] == first["id"]
    old = await gateway.get(f"/conversations/{first['id']}")
    assert (old["is_active"], old["closed_reason"]) == (False, "idle_timeout")


async def test_continuity_within_the_window(gateway: Gateway, clock: Clock) -> None:
    """Within the window every message gets the same conversation."""
    first = await gateway.say("Vorrei 20 sacchi di farina")
    clock.advance(hours=47, minutes=59)
    second = await gateway.say("Anzi 25")
    assert second["created"] is False
    assert second["conversation"]["id"] == first["conversation"]["id"]
    assert second["conversation"]["message_count"] == 2
