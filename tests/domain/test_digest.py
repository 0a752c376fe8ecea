"""What a conversation leaves behind: the rules of the digest as tables, and what holds for any messages."""

import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from types import FrameType
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convo_service.domain import digest as rules
from convo_service.domain.digest import PRINT_COST, Entry, Said, pieces
from convo_service.domain.text import clean, tokens
from convo_service.domain.words import telegraphic

Direction = Literal["inbound", "outbound"]
START = datetime(2026, 3, 2, 9, tzinfo=UTC)
NOW = START + timedelta(days=10)
AMPLE = 100_000

WORDS = (
    "il la L' di A the of I è ho posso vorrei grazie ciao non no mai don't 5 12,50 1.250,50 € kg days 15:30 dalle Roma"
    " Mario m@x.it www.x.it/a3 S.r.l. prezzo consegna delivery l'ordine dell'ha , . ? (il \"la\" grazie. posso? - 👍"
)
spoken = st.lists(st.sampled_from(WORDS.split()), min_size=1, max_size=14).map(" ".join)
texts = st.one_of(spoken, st.text(st.characters(exclude_categories=()), max_size=60))
moments = st.integers(0, 400).map(lambda days: START - timedelta(days=days))
directions: st.SearchStrategy[Direction] = st.sampled_from(("inbound", "outbound"))


@st.composite
def conversations(draw: st.DrawFn) -> list[Said]:
    return [
        Said(f"m{place}", draw(directions), draw(texts), draw(moments))
        for place in range(draw(st.integers(min_value=0, max_value=8)))
    ]


entries = st.builds(Entry, texts, st.sampled_from(("c1", "c2", "c3")), directions, moments)
given_any = given(conversations(), st.lists(entries, max_size=4), st.integers(0, 120))


def digest(messages: Sequence[Said], carried: Sequence[Entry], *, budget: int, now: datetime) -> list[Entry]:
    """A digest of messages and of what was carried on."""
    return rules.digest([*carried, *pieces(messages)], budget=budget, now=now)


def client(*said: str, days: int = 0, name: str = "c") -> list[Said]:
    return [Said(f"{name}{n}", "inbound", text, START + timedelta(days=days, minutes=n)) for n, text in enumerate(said)]


def bot(*said: str) -> list[Said]:
    return [Said(f"b{n}", "outbound", text, START + timedelta(minutes=n)) for n, text in enumerate(said)]


def told(messages: Sequence[Said], carried: Sequence[Entry] = (), budget: int = AMPLE) -> list[str]:
    return [entry.text for entry in digest(messages, carried, budget=budget, now=NOW)]


def price(kept: Sequence[Entry]) -> int:
    return sum(tokens(entry.text) + PRINT_COST for entry in kept)


def plain(text: str) -> str:
    return clean(text).translate(str.maketrans("\u2018\u2019", "''"))


def test_a_negation_says_nothing_by_itself() -> None:
    """A negation is kept for what it denies; it does not make a sentence worth telling."""
    assert told(client("Mai. Il prezzo è alto")) == ["prezzo alto"]


def test_each_entry_is_tied_to_its_message() -> None:
    """An entry has the id, the direction and the time of the message that it is a piece of."""
    message = Said("wamid.7", "outbound", "Consegna prevista martedì 7 aprile.", START)
    assert digest([message], [], budget=AMPLE, now=NOW) == [
        Entry("Consegna prevista martedì 7 aprile", "wamid.7", "outbound", START)
    ]


def test_time_order() -> None:
    """Entries stand in the order in which they were said, whatever the order of the rows and of their weight."""
    messages = client("Abito in centro. Il cancello è verde", "Ordine 4711 per Mario")
    expected = ["Abito centro", "cancello verde", "Ordine 4711 per Mario"]
    assert told(messages) == told(messages[::-1]) == expected


def test_the_client_comes_first() -> None:
    """When there is room for one, the client's sentence is told and not the bot's."""
    messages = [*bot("Il colore è verde"), *client("Il cancello è rosso")]
    assert told(messages, budget=PRINT_COST + 6) == ["cancello rosso"]


def talk(*said: str) -> list[Said]:
    """The two sides in turn; a line of the client begins with >."""
    return [
        Said(f"t{n}", "inbound" if text.startswith(">") else "outbound", text.strip("> "), START + timedelta(minutes=n))
        for n, text in enumerate(said)
    ]


@pytest.mark.parametrize(
    ("said", "first"),
    [
        pytest.param(
            talk("> vale per tutto il mese?", "Sì, fino al 31 ottobre."), "Sì, fino al 31 ottobre", id="his question"
        ),
        pytest.param(talk("> cortile grigio portone?", "> cortile verde"), "cortile verde", id="beside what he tells"),
        pytest.param(talk("> Appunto.", "Cancello grigio. Portone"), "Cancello grigio", id="a single word"),
        pytest.param(talk("> Appunto.", "> verde"), "verde", id="a single word, when there is nothing else"),
        pytest.param(
            talk("Che colore?", "> verde", "> rosso"), "verde", id="but a single word that answers counts in full"
        ),
    ],
)
def test_what_says_little_alone_waits(said: list[Said], first: str) -> None:
    """A short question without its answer and a single word come behind what can be understood alone."""
    assert told(said, budget=PRINT_COST + 6) == [first]


def test_a_number_is_told_with_its_question() -> None:
    """Of the bot's sentences the question before a bare number comes first: it tells what the number is."""
    said = talk("Mi dà la P.IVA?", "> 00112230001", "Sale oro uva")
    assert told(said, budget=2 * PRINT_COST + 6) == ["dà P.IVA?", "00112230001"]


@pytest.mark.parametrize("wish", ["Buon lavoro!", "Buon fine settimana!", "A lei, buone vacanze!", "Appunto."])
def test_a_wish_is_not_told(wish: str) -> None:
    """A formula of courtesy costs no line, however much room there is."""
    assert told([*client("Il cancello è verde", wish), *bot(wish)]) == ["cancello verde"]


def test_the_recent_comes_first() -> None:
    """When there is room for one, the newer sentence is told."""
    messages = [*client("Il colore è verde", days=-90, name="old"), *client("Il cancello è rosso")]
    assert told(messages, budget=PRINT_COST + 6) == ["cancello rosso"]


@pytest.mark.parametrize(
    ("weighty", "ordinary"),
    [
        pytest.param("codice cancello 4711", "codice portone noto", id="a number"),
        pytest.param("casella m@casa.it", "casella principale", id="an address"),
        pytest.param("bussate a Mario", "bussate forte", id="a name"),
    ],
)
def test_values_come_first(weighty: str, ordinary: str) -> None:
    """When there is room for one, the sentence with a value is told."""
    for messages in (client(weighty, ordinary), client(ordinary, weighty)):
        assert told(messages, budget=PRINT_COST + 5) == [telegraphic(weighty)]


def test_what_is_told_is_not_told_again() -> None:
    """A sentence that adds no word is left out, and so is the same text from somebody else."""
    messages = [*client("Ordine 4711, cancello verde"), *bot("Ordine 4711", "ordine 4711, cancello verde.")]
    assert told(messages) == ["Ordine 4711, cancello verde"]


def test_of_equal_texts_the_clients_newest_stays() -> None:
    """Of one text the client's is kept rather than the bot's, and the newest of the client's."""
    messages = [*client("Via Roma 5", "via Roma 5"), Said("b9", "outbound", "Via Roma 5", NOW)]
    assert [entry.message_id for entry in digest(messages, [], budget=AMPLE, now=NOW)] == ["c1"]


def test_what_is_new_counts_not_what_is_much() -> None:
    """When the weightiest is told, a sentence that repeats most of it waits behind one that is all new."""
    messages = client("rosso verde giallo grigio", "rosso verde giallo bianco", "portone alto")
    assert told(messages, budget=2 * (PRINT_COST + 7)) == ["rosso verde giallo bianco", "portone alto"]


def test_courtesy_stands_only_when_there_is_nothing_else() -> None:
    """A conversation of thanks is told with the client's last words, uncompressed."""
    thanks = [*client("Ciao!", "Grazie a te!"), *bot("Prego")]
    assert told(thanks) == ["Grazie a te!"]
    assert told([*thanks, *client("Il cancello", name="d")]) == ["cancello"]


def test_carried_entries_stay_as_they_are() -> None:
    """What an earlier digest kept is neither told again nor shortened again, and keeps its message."""
    carried = [Entry("il cancello è verde", "old", "inbound", START - timedelta(days=9))]
    assert digest([], carried, budget=AMPLE, now=NOW) == carried
    assert digest(client("Ordine 4711"), carried, budget=AMPLE, now=NOW)[0] == carried[0]


def test_old_facts_fade() -> None:
    """What is carried makes room for what is new when both do not fit."""
    carried = digest(client("Il cancello è verde", days=-60), [], budget=AMPLE, now=START)
    assert told(client("Il portone è rosso"), carried, budget=PRINT_COST + 6) == ["portone rosso"]


@pytest.mark.parametrize(
    ("budget", "kept"),
    [
        pytest.param(PRINT_COST, [], id="a budget that holds no word tells nothing"),
        pytest.param(PRINT_COST + 1, ["codi"], id="one token: what fits"),
        pytest.param(PRINT_COST + 3, ["codice"], id="cut at a space"),
        pytest.param(PRINT_COST + 5, ["codice cancello 4711"], id="just enough"),
    ],
)
def test_a_sentence_that_does_not_fit_is_cut(budget: int, kept: list[str]) -> None:
    """The best sentence is cut when no sentence fits."""
    assert told(client("Il codice del cancello è 4711"), budget=budget) == kept


def test_nothing_said_is_nothing_told() -> None:
    """Without a visible character there is no entry."""
    assert told([]) == told(client("", " \n\u200b\x00")) == []


@settings(deadline=None)
@given_any
def test_never_empty_and_never_over_budget(messages: list[Said], carried: list[Entry], budget: int) -> None:
    """Whatever was said, something visible of it is told when a token fits, and the budget is never exceeded."""
    kept = digest(messages, carried, budget=budget, now=NOW)
    visible = any(map(clean, [*(said.text for said in messages), *(entry.text for entry in carried)]))
    assert bool(kept) == (visible and budget > PRINT_COST)
    assert price(kept) <= budget


@settings(deadline=None)
@given_any
def test_deterministic_and_in_time_order(messages: list[Said], carried: list[Entry], budget: int) -> None:
    """The same rows give the same entries in any order, sorted by time, and no text twice."""
    kept = digest(messages, carried, budget=budget, now=NOW)
    assert kept == digest(messages[::-1], carried, budget=budget, now=NOW)
    assert kept == sorted(kept, key=lambda entry: (entry.sent_at, entry.message_id))
    assert len({entry.text for entry in kept}) == len(kept)


@settings(deadline=None)
@given(conversations(), st.integers(0, 120))
def test_every_word_comes_from_its_message(messages: list[Said], budget: int) -> None:
    """An entry is a piece of the message that it names: its words, its direction, its time."""
    sources = {said.message_id: said for said in messages}
    for entry in digest(messages, [], budget=budget, now=NOW):
        source = sources[entry.message_id]
        assert (entry.direction, entry.sent_at) == (source.direction, source.sent_at)
        assert all(word in plain(source.text) for word in re.findall(r"\w+", entry.text))


@settings(deadline=None)
@given(conversations(), st.integers(0, 120))
def test_a_digest_of_a_digest_is_the_same(messages: list[Said], budget: int) -> None:
    """What was kept is carried whole or not at all, and something of it is carried."""
    kept = digest(messages, [], budget=budget, now=NOW)
    again = digest([], kept, budget=budget, now=NOW)
    assert set(again) <= set(kept)
    assert bool(again) == bool(kept)


def calls(messages: list[Said]) -> int:
    """How many functions a digest calls, built-in ones as well."""
    count = 0

    def tick(_frame: FrameType, event: str, _arg: Any) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(tick)
    try:
        digest(messages, [], budget=300, now=NOW)
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("Messaggio {n}: il codice del cancello {n} è verde. Grazie!", id="ordinary sentences"),
        pytest.param("di non la e per a ", id="function words"),
        pytest.param("ordine {n} ", id="a value each"),
    ],
)
def test_the_work_grows_with_the_text(text: str) -> None:
    """Four times the messages are about four times the work."""
    few, many = (client(*(text.format(n=n) for n in range(size))) for size in (250, 1000))
    digest(many, [], budget=300, now=NOW)  # the stems are remembered from here on
    assert calls(many) < 5 * calls(few)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("x" * 8000, id="no space"),
        pytest.param("a." * 4000, id="no end"),
        pytest.param("!" * 8000, id="only stops"),
        pytest.param("es. " * 2000, id="only abbreviations"),
        pytest.param("di " * 2666, id="only function words"),
        pytest.param("non " * 2000, id="only negations"),
        pytest.param("a" + "\u0301\u0323" * 4000, id="only accents"),
        pytest.param("(" * 4000 + ")" * 4000, id="only brackets"),
        pytest.param("1.1, " * 1600, id="only numbers"),
    ],
)
def test_a_long_message_is_no_more_work_than_its_length(text: str) -> None:
    """Eight thousand characters cost at most a handful of calls each, whatever they are."""
    messages = client(text)
    assert 0 < price(digest(messages, [], budget=300, now=NOW)) <= 300
    assert calls(messages) < 10 * len(text)
