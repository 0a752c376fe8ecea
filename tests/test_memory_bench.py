"""The bench of memory: its judge can fail, its liar lies, and its dialogues are what they claim to be."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from bench import remembering
from bench.lying import LISTS, LyingModel
from bench.remembering import Dialogue, Message, Record, read_record, stands

FILE = Path(__file__).resolve().parents[1] / "bench" / "dialoghi.jsonl"
START = datetime(2026, 10, 5, 9, 0, tzinfo=UTC)
SAID = (
    "Buongiorno, servono 40 pezzi per Borgo Tresca. La p.iva è 70934306708.",
    "rimborso di 1.250,00 € su IT38 P099 3260 5450 0062 0657 297, non in contanti",
)
WHOLE = Record(SAID)
_ODD = dict(  # what a letter counts at an odd place of a codice fiscale
    zip(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23),
        strict=True,
    )
)


def dialogue(**expect: list[str]) -> Dialogue:
    """A client who says SAID, and is asked in between."""
    one, two = SAID
    texts = [(True, one), (False, "Entro le 14:30 le mandiamo il DDT 1187."), (True, two)]
    return Dialogue("one", [Message(by_client, text, START) for by_client, text in texts], dict(expect))


def file() -> list[Dialogue]:
    """The Italian dialogues."""
    return remembering.dialogues(FILE.read_text(encoding="utf-8").splitlines())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("ordine OC 4471/26, cod. 40.118.22.", {"4471/26", "40.118.22"}, id="codes, without the full stop"),
        pytest.param("1.250,00 € o € 1.250,00 o 1.250,00 euro", {"1.250,00eur"}, id="one amount in three spellings"),
        pytest.param("50 euro, 50% e 50", {"50eur", "50%", "50"}, id="a unit is part of a value"),
        pytest.param("IT38 P099 3260 5450 0062 0657 297 ok", {"it38p0993260545000620657297"}, id="an IBAN in groups"),
        pytest.param("IT38P0993260545000620657297", {"it38p0993260545000620657297"}, id="an IBAN in one piece"),
        pytest.param("IT38 P099 3260 5450", {"it38p09932605450"}, id="what is left of an IBAN is another value"),
        pytest.param("alle 14:30 del 30/10/2026, 5:15 pm", {"14:30", "30/10/2026", "5:15pm"}, id="times and dates"),
        pytest.param("scriva a a.rossi@edil.example.", {"a.rossi@edil.example"}, id="e-mail"),
        pytest.param("tel. 320 000 4471 o +39 320 000 4471", {"3200004471", "+393200004471"}, id="telephone"),
        pytest.param("cf BRSLEI71E12X904N", {"brslei71e12x904n"}, id="tax code"),
        pytest.param("nessun valore qui", set(), id="none"),
    ],
)
def test_values(text: str, expected: set[str]) -> None:
    """Values are found whole, in a form that can be compared."""
    assert remembering.values(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("sento Brusaferri in ufficio", {"brusaferri"}, id="in the middle"),
        pytest.param("Domani va bene. Grazie Nives", {"nives"}, id="the first word of a sentence is none"),
        pytest.param("il DDT via PEC", set(), id="nor one in capitals"),
    ],
)
def test_names(text: str, expected: set[str]) -> None:
    """A name is a capitalised word that does not begin a sentence."""
    assert remembering.names(text) == expected


def test_a_seed_that_holds_everything_scores_all() -> None:
    """Everything is kept, nothing is invented."""
    expect = {"values": ["40 pezzi", "1.250,00 €"], "negations": ["non in contanti"], "promises": []}
    found = remembering.score(dialogue(**expect), WHOLE, budget=100)
    assert (found.values, found.words, found.all_kept) == (1.0, 1.0, True)
    assert found.expected == {"values": 1.0, "negations": 1.0, "promises": None}
    assert (found.invented, found.broken) == ((), ())


def test_an_empty_seed_scores_nothing() -> None:
    """Nothing is kept; what cannot fit is not asked for."""
    found = remembering.score(dialogue(values=["40 pezzi"]), Record(()), budget=10)
    assert (found.values, found.words, found.all_kept, found.expected) == (0.0, 0.0, None, {"values": 0.0})


@pytest.mark.parametrize(
    ("true", "false", "invented"),
    [
        pytest.param("40 pezzi", "46 pezzi", ("46",), id="a digit of a number"),
        pytest.param("70934306708", "70934306709", ("70934306709",), id="a digit of a tax code"),
        pytest.param("0657 297", "0657 298", ("it38p0993260545000620657298",), id="a digit of an IBAN"),
        pytest.param(" 0657 297", "", ("it38p099326054500062",), id="an IBAN that was cut"),
        pytest.param("1.250,00 €", "1.250,00%", ("1.250,00%",), id="another unit"),
        pytest.param("40 pezzi", "40 € a pezzo", ("40eur",), id="a unit that nobody said"),
        pytest.param("Borgo Tresca", "Borgo Falsoni", ("falsoni",), id="a name"),
    ],
)
def test_a_change_is_seen(true: str, false: str, invented: tuple[str, ...]) -> None:
    """One changed value is invented, and the true one is missing."""
    told = tuple(text.replace(true, false) for text in SAID)
    found = remembering.score(dialogue(), Record(told), budget=100)
    assert told != SAID
    assert found.invented == invented
    assert found.values is not None
    assert found.values < 1
    assert found.all_kept is False


def test_another_unit_does_not_keep_a_value() -> None:
    """An amount is kept with its unit alone; a time is kept with half of the day too."""
    one = Dialogue("one", [Message(True, "50 alle 12:15, 30 euro", START)])
    assert remembering.score(one, Record(("50 12:15 pm 30 €",)), 100).values == 1.0
    assert remembering.score(one, Record(("50% 12:15 30",)), 100).values == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    "told",
    [
        pytest.param("40 a Borgo Tresca", id="a number without its word"),
        pytest.param("DDT 1187 entro 14:30", id="what the other side said"),
        pytest.param("1.250,00", id="an amount without its unit"),
    ],
)
def test_what_was_said_is_not_invented(told: str) -> None:
    """The messages of both sides hold a value, and a bare number is held by one with a unit."""
    assert list(remembering.invented(dialogue(), Record((told,)))) == []


def test_a_negation_has_to_stay_one() -> None:
    """The same words without their negation do not count."""
    kept = [
        remembering.score(dialogue(negations=["non in contanti"]), Record((told,)), 100).expected["negations"]
        for told in ("rimborso non contanti", "rimborso in contanti")
    ]
    assert kept == [1.0, 0.0]


@pytest.mark.parametrize(
    ("line", "is_broken"),
    [
        pytest.param('Argomenti recenti: ["a", "b"]', False, id="a list"),
        pytest.param("Detto in precedenza:", False, id="a heading"),
        pytest.param(" 2026-10-05:", False, id="a day on which something was said"),
        pytest.param('  - cliente: "40 pezzi"', False, id="an entry"),
        pytest.param(" 2026-10-06:", True, id="a day on which nothing was said"),
        pytest.param('Cliente: "Mario Falsoni"', True, id="a verified line without a profile"),
        pytest.param('Cliente verificato: "si"', True, id="a key that is none"),
        pytest.param("  - cliente: 40 pezzi", True, id="a value that is not quoted"),
        pytest.param('  - cliente: "40 \\u202e pezzi"', True, id="a control character"),
    ],
)
def test_a_record_is_read_strictly(line: str, is_broken: bool) -> None:
    """Whatever is no line of a record is named."""
    assert bool(read_record(line, ["2026-10-05"]).broken) is is_broken


@pytest.mark.parametrize(
    ("piece", "expected"),
    [
        pytest.param("servono 46 pezzi per Borgo Tresca.", True, id="the entry"),
        pytest.param("servono 46 pezzi…", True, id="its beginning"),
        pytest.param("servono 40 pezzi per Borgo Tresca.", False, id="the truth"),
        pytest.param("per Borgo Tresca", False, id="a part that is true"),
    ],
)
def test_a_lie_stands(piece: str, expected: bool) -> None:
    """A lie stands where a piece of it is told that holds what is false."""
    assert stands("servono 46 pezzi\nper Borgo Tresca.", "servono 46", piece) is expected


def test_joined() -> None:
    """Dialogues become one talk in the order of the file, and what is expected of both is expected of it."""
    found = remembering.joined([dialogue(values=["40 pezzi"]), dialogue(values=["1.250,00 €"])] * 2, 3)
    assert [len(one.messages) for one in found] == [9, 3]
    assert found[0].expect == {"values": ["40 pezzi", "1.250,00 €", "40 pezzi"]}
    assert [one.sent_at for one in found[0].messages] == sorted(one.sent_at for one in found[0].messages)


def test_the_rivals() -> None:
    """Whole messages, the newest first to be taken; ten words at most, none of them a function word."""
    whole = remembering.last_messages(dialogue(), 100)
    last = remembering.last_messages(dialogue(), remembering.tokens(SAID[1]))
    assert remembering.score(dialogue(), whole, 100).values == 1.0
    assert last.pieces == SAID[1:]
    assert remembering.last_messages(dialogue(), 5).pieces == ()
    words = remembering.ten_keywords(dialogue(), 5).pieces
    assert len(words) == 10
    assert not remembering.STOP & {*words}


def request(one: Dialogue) -> dict[str, object]:
    """What the service asks a model about a dialogue."""
    shown = [
        {"n": place, "customer" if message.by_client else "assistant": message.text}
        for place, message in enumerate(one.messages, 1)
    ]
    return {"input": [{"role": "user", "content": json.dumps(shown)}]}


def test_the_liar_lies() -> None:
    """It tells the same lies each time, of every kind, and what is false stands in no message that it cites."""
    first, second = LyingModel(), LyingModel()
    for one in file():
        assert first(request(one)) == second(request(one))
    assert first.lies == second.lies
    assert len({lie.kind for lie in first.lies}) > 12
    assert all(lie.false in lie.text for lie in first.lies)
    assert LyingModel(seed=2)(request(file()[0])) != LyingModel(seed=1)(request(file()[0]))


def test_the_liar_answers_in_the_form_that_is_asked_for() -> None:
    """Most of its answers are summaries, so that they reach what has to find them out."""
    model, readable = LyingModel(), 0
    for one in file():
        try:
            readable += json.loads(model(request(one))).keys() == {*LISTS, "closed"}
        except ValueError:
            continue
    assert readable > len(file()) / 2


def test_the_dialogues() -> None:
    """Forty, each begun by the client and of 8 to 16 messages, and what is to be kept was said by the client."""
    found = file()
    assert len(found) == 40
    for one in found:
        assert 8 <= len(one.messages) <= 16, one.name
        assert one.messages[0].by_client
        assert set(one.expect) == {"values", "open_issues", "promises", "preferences", "negations"}
        missing = [value for value in one.expect["values"] if not any(value in text for text in one.said_by_client)]
        assert missing == [], one.name


def test_everything_that_is_expected_stands_in_the_dialogue() -> None:
    """A seed that held all messages would score all: no expectation is out of reach."""
    for one in file():
        whole = Record(tuple(message.text for message in one.messages))
        found = remembering.score(one, replace(whole, tokens=0), budget=10_000)
        assert {share for share in found.expected.values() if share is not None} == {1.0}, (one.name, found.expected)


def test_check_digits() -> None:
    """Every IBAN, partita IVA and codice fiscale of the dialogues has valid check digits, and there are plenty."""
    text = "\n".join(message.text for one in file() for message in one.messages)
    ibans = re.findall(r"\bIT\d\d ?[A-Z](?: ?\d){22}\b", text)
    partite = re.findall(r"\b\d{11}\b", text)
    codici = re.findall(r"\b[A-Z]{6}\d\d[A-Z]\d\d[A-Z]\d{3}[A-Z]\b", text)
    assert [one for one in ibans if not _is_iban(one.replace(" ", ""))] == []
    assert [one for one in partite if not _is_partita_iva(one)] == []
    assert [one for one in codici if not _is_codice_fiscale(one)] == []
    assert len(ibans) >= 10
    assert len(partite) >= 8
    assert len(codici) >= 5
    assert any(" " in one for one in ibans)


def test_the_check_can_fail() -> None:
    """A changed digit or letter is not valid."""
    assert not _is_iban("IT38P0993260545000620657298")
    assert not _is_partita_iva("70934306709")
    assert not _is_codice_fiscale("BRSLEI71E12X904M")


def _is_iban(iban: str) -> bool:
    return int("".join(str(int(char, 36)) for char in iban[4:] + iban[:4])) % 97 == 1


def _is_partita_iva(digits: str) -> bool:
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in digits[1::2])
    return (sum(map(int, digits[::2])) + sum(doubled)) % 10 == 0


def _is_codice_fiscale(code: str) -> bool:
    places = [chr(65 + int(char)) if char.isdigit() else char for char in code[:15]]
    total = sum(_ODD[char] for char in places[::2]) + sum(ord(char) - 65 for char in places[1::2])
    return chr(65 + total % 26) == code[15]
