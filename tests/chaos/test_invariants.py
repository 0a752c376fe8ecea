"""Each rule can fail: a world in which all is well, and what it looks like when one thing is not."""

from dataclasses import replace
from types import SimpleNamespace as Row
from typing import Any

import pytest

from convo_service.domain.record import PREAMBLE
from tests.chaos.evidence import Evidence, Remote
from tests.chaos.gateway import Ack, Ledger
from tests.chaos.invariants import Case, violations

SEED = [("developer", PREAMBLE), ("user", "Note: []")]
ACK = Ack("+39333", "wamid.1", "Buongiorno", "conv_1")


def conversation(id_: str = "conv_1", **more: Any) -> Any:
    """A row of a conversation."""
    row = {"id": id_, "user_id": "usr_1", "topic": "general", "is_active": True, "message_count": 1, "owed_items": None}
    return Row(**{**row, **more})


def message(**more: Any) -> Any:
    """A row of the message that was acknowledged."""
    row = {"user_id": "usr_1", "external_id": "wamid.1", "text": "Buongiorno", "command_length": 0, "late": False}
    return Row(**{**row, "conversation_id": "conv_1", "answered_conversation_id": "conv_1", **more})


WELL = Evidence(
    remotes={"conv_1": Remote("att_1", deleted=False, items=SEED)},
    users={"+39333": "usr_1"},
    conversations={"conv_1": conversation()},
    messages=[message()],
    seeds={"conv_1": "Note: []"},
    openings=[],
    garbage=frozenset(),
)


def broken(case: Case) -> set[str]:
    """The rules that are broken."""
    return {sentence.partition(":")[0] for sentence in violations(case)}


def test_all_is_well() -> None:
    """No rule complains of a world in order."""
    assert broken(Case(WELL, Ledger([ACK]), faults=0)) == set()


def with_remotes(**items: Any) -> dict[str, Remote]:
    """What OpenAI has, beside the conversation in use."""
    return {**WELL.remotes, **{id_: Remote("att_2", deleted=False, items=held) for id_, held in items.items()}}


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        pytest.param("one_active", {"refuses_a_second_active": False}, id="the database takes a second active one"),
        pytest.param(
            "one_active",
            {
                "conversations": {"conv_1": conversation(), "conv_2": conversation("conv_2", message_count=0)},
                "remotes": with_remotes(conv_2=[]),
            },
            id="two are active",
        ),
        pytest.param("nothing_lost", {"messages": [message(external_id=None)]}, id="a message is lost"),
        pytest.param("nothing_lost", {"messages": [message(text="Altro.....")]}, id="another text"),
        pytest.param("nothing_lost", {"messages": [message(answered_conversation_id="conv_0")]}, id="forgotten answer"),
        pytest.param("counts_are_right", {"conversations": {"conv_1": conversation(message_count=2)}}, id="count"),
        pytest.param("nothing_is_stuck", {"openings": [Row(user_id="usr_1", remote_id=None, state="x")]}, id="stuck"),
        pytest.param("orphans_are_empty", {"remotes": with_remotes(conv_9=[])}, id="an orphan without a fault"),
        pytest.param("garbage_is_unused", {"garbage": frozenset(["conv_1"])}, id="garbage in use"),
        pytest.param("garbage_is_unused", {"remotes": {"conv_1": Remote("", True, SEED)}}, id="deleted and in use"),
        pytest.param(
            "deleted_is_empty", {"remotes": {**WELL.remotes, "conv_9": Remote("", True, SEED, 1)}}, id="items are left"
        ),
        pytest.param(
            "seeded_once", {"remotes": {**WELL.remotes, "conv_9": Remote("", True, SEED * 2)}}, id="seeded twice, gone"
        ),
        pytest.param("seeded_once", {"remotes": {"conv_1": Remote("", False, SEED * 2)}}, id="seeded twice"),
        pytest.param("seeded_once", {"remotes": {"conv_1": Remote("", False, [])}}, id="never seeded"),
        pytest.param(
            "seeded_once",
            {
                "remotes": {"conv_1": Remote("", False, [("user", "Buongiorno")])},
                "conversations": {"conv_1": conversation(owed_items=SEED)},
            },
            id="asked without its seed",
        ),
        pytest.param("reserve_is_unused", {"reserve": frozenset(["conv_1"])}, id="held in reserve and in use"),
        pytest.param(
            "reserve_is_unused",
            {"reserve": frozenset(["conv_9"]), "remotes": with_remotes(conv_9=[("user", "Buongiorno")])},
            id="held in reserve and not empty",
        ),
    ],
)
def test_a_rule_sees(rule: str, change: dict[str, Any]) -> None:
    """What is wrong is seen by the rule that is there for it, and by no other."""
    assert broken(Case(replace(WELL, **change), Ledger([ACK]), faults=0)) == {rule}


def test_an_orphan_may_be_left_by_a_kill_when_it_is_empty() -> None:
    """An empty orphan is the price of a kill; one with items never is."""
    assert broken(Case(replace(WELL, remotes=with_remotes(conv_9=[])), Ledger([ACK]), faults=1)) == set()
    full = replace(WELL, remotes=with_remotes(conv_9=[("user", "Buongiorno")]))
    assert broken(Case(full, Ledger([ACK]), faults=1)) == {"orphans_are_empty"}


def test_what_is_held_in_reserve_is_no_orphan() -> None:
    """Nor is a conversation wrong whose seed is owed still."""
    owing = {"conv_1": conversation(owed_items=SEED)}
    remotes = {"conv_1": Remote("att_1", False, []), "conv_9": Remote("reserve", False, [])}
    found = replace(WELL, remotes=remotes, reserve=frozenset(["conv_9"]), conversations=owing)
    assert broken(Case(found, Ledger([ACK]), faults=0)) == set()


def test_two_answers_are_seen() -> None:
    """The same id with two conversations breaks two promises."""
    ledger = Ledger([ACK, replace(ACK, conversation_id="conv_2")], unexpected=["500"])
    assert broken(Case(WELL, ledger, faults=0)) == {"same_answer", "nothing_lost", "only_promised_answers"}
