"""What must hold after any storm; each rule returns sentences about what breaks it."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass

from convo_service.domain.record import PREAMBLE
from tests.chaos.evidence import Evidence, Row
from tests.chaos.gateway import Ack, Ledger


@dataclass(frozen=True, slots=True)
class Case:
    """All that the rules see."""

    evidence: Evidence
    ledger: Ledger
    faults: int  # kills, lost answers, failures of the database: as many empty orphans may be left at OpenAI
    cut: Set[str] = frozenset()  # attempts that a kill was in the middle of; each may leave one more

    @property
    def orphans(self) -> list[str]:
        """Conversations at OpenAI that nothing of ours knows."""
        found = self.evidence
        known = found.conversations.keys() | found.garbage | found.reserve | {one.remote_id for one in found.openings}
        return [id_ for id_, remote in found.remotes.items() if id_ not in known and not remote.deleted]


def one_active(case: Case) -> Iterator[str]:
    """Never two active conversations per user and topic, and the database itself forbids it."""
    active = Counter((row.user_id, row.topic) for row in case.evidence.conversations.values() if row.is_active)
    yield from (f"{user} has {times} active conversations" for (user, _), times in active.items() if times > 1)
    if not case.evidence.refuses_a_second_active:
        yield "the database takes a second active conversation"


def nothing_lost(case: Case) -> Iterator[str]:
    """Every acknowledged message is stored once, with its text, in the conversation that was answered."""
    stored: dict[tuple[str, str], list[Row]] = {}
    for row in case.evidence.messages:
        stored.setdefault((row.user_id, row.external_id), []).append(row)
    for ack in case.ledger.acks:
        rows = stored.get((case.evidence.users.get(ack.identity, ""), ack.external_id), [])
        if len(rows) != 1:
            yield f"{ack.external_id} was acknowledged and is stored {len(rows)} times"
        else:
            yield from _as_promised(ack, rows[0])


def _as_promised(ack: Ack, row: Row) -> Iterator[str]:
    if row.text != ack.text:
        yield f"{ack.external_id} is stored with another text"
    if row.answered_conversation_id != ack.conversation_id:
        yield f"{ack.external_id} was answered {ack.conversation_id}, remembered is {row.answered_conversation_id}"
    # What somebody else's request has placed, or came late, may lie in an earlier conversation than it was answered.
    if row.conversation_id is None or not (
        row.conversation_id == ack.conversation_id or ack.duplicate or (row.late and not ack.appended)
    ):
        yield f"{ack.external_id} was answered {ack.conversation_id} and lies in {row.conversation_id}"


def same_answer(case: Case) -> Iterator[str]:
    """The same external id has the same conversation, however often and wherever it comes."""
    answers: dict[tuple[str, str], set[str]] = {}
    for ack in case.ledger.acks:
        answers.setdefault((ack.identity, ack.external_id), set()).add(ack.conversation_id)
    yield from (f"{key[1]} had the answers {sorted(ids)}" for key, ids in answers.items() if len(ids) > 1)


def counts_are_right(case: Case) -> Iterator[str]:
    """A conversation counts the messages that lie in it."""
    counted = Counter(row.conversation_id for row in case.evidence.messages if row.text[row.command_length :])
    for id_, row in case.evidence.conversations.items():
        if row.message_count != counted[id_]:
            yield f"{id_} counts {row.message_count} messages and has {counted[id_]}"


def nothing_is_stuck(case: Case) -> Iterator[str]:
    """After everybody's last message no opening is left, and no message waits for its conversation."""
    yield from (f"the opening of {row.user_id} is stuck: {row.state}" for row in case.evidence.openings)
    yield from (f"{row.external_id} is in no conversation" for row in case.evidence.messages if not row.conversation_id)


def orphans_are_empty(case: Case) -> Iterator[str]:
    """What nobody uses at OpenAI is empty or listed as garbage, and at most as much as was cut off."""
    for id_ in case.orphans:
        if items := case.evidence.remotes[id_].items:
            yield f"the orphan {id_} holds {len(items)} items"
    unexplained = [id_ for id_ in case.orphans if case.evidence.remotes[id_].attempt not in case.cut]
    if len(unexplained) > case.faults:
        yield f"{len(unexplained)} orphans after {case.faults} faults"


def garbage_is_unused(case: Case) -> Iterator[str]:
    """What is listed as garbage, or deleted as such, is no conversation of ours, and ours are at OpenAI."""
    for id_ in case.evidence.conversations:
        if id_ in case.evidence.garbage:
            yield f"{id_} is in use and listed as garbage"
        if id_ not in case.evidence.remotes:
            yield f"{id_} is in use and unknown at OpenAI"
        elif case.evidence.remotes[id_].deleted:
            yield f"{id_} is in use and deleted at OpenAI"


def reserve_is_unused(case: Case) -> Iterator[str]:
    """What is held in reserve is empty, at OpenAI, and nowhere else."""
    used = (
        case.evidence.conversations.keys() | case.evidence.garbage | {row.remote_id for row in case.evidence.openings}
    )
    yield from (f"{id_} is in use and held in reserve" for id_ in case.evidence.reserve & used)
    for id_ in case.evidence.reserve - used:
        remote = case.evidence.remotes.get(id_)
        if remote is None or remote.deleted or remote.items:
            yield f"{id_} is held in reserve and no empty conversation"


def deleted_is_empty(case: Case) -> Iterator[str]:
    """What was deleted at OpenAI was emptied before: its items would stay there for ever."""
    for id_, remote in case.evidence.remotes.items():
        if remote.deleted and remote.left:
            yield f"{id_} was deleted and left {remote.left} items"


def seeded_once(case: Case) -> Iterator[str]:
    """A remote conversation is seeded at most once, and one in use with exactly the seed that its row shows.

    One whose seed is owed may hold nothing yet.
    """
    for id_, remote in case.evidence.remotes.items():
        times = sum(text == PREAMBLE for _, text in remote.items)
        if times > 1:
            yield f"{id_} was seeded {times} times"
        if id_ in case.evidence.conversations:
            seed, owed = case.evidence.seeds.get(id_), case.evidence.conversations[id_].owed_items
            shown = [item for item in remote.items if item in (("developer", PREAMBLE), ("user", seed))]
            wanted = [("developer", PREAMBLE), ("user", seed)] if seed else []
            if shown != wanted and not (owed and not remote.items):
                yield f"{id_} holds another seed than its row shows"


def only_promised_answers(case: Case) -> Iterator[str]:
    """No 500, nothing that a gateway could not repeat, and an answer in the end."""
    yield from case.ledger.unexpected


Rule = Callable[[Case], Iterator[str]]
RULES: Sequence[Rule] = (
    one_active,
    nothing_lost,
    same_answer,
    counts_are_right,
    nothing_is_stuck,
    orphans_are_empty,
    garbage_is_unused,
    reserve_is_unused,
    deleted_is_empty,
    seeded_once,
    only_promised_answers,
)


def violations(case: Case) -> list[str]:
    """Everything that breaks a rule."""
    return [f"{rule.__name__}: {sentence}" for rule in RULES for sentence in rule(case)]
