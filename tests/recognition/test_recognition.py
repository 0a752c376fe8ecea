"""A message opens a topic when its words surely say so; a wrong switch is worse than none."""

import pytest

from convo_service.domain.recognition import Recogniser
from tests.recognition.judging import judged, table
from tests.recognition.messages import DESCRIPTIONS, labelled

TOPICS = Recogniser(
    {
        "ordini": "Ordini e riordini, sacchi, cartoni, modificare un ordine",
        "fatture": "Fatture e pagamenti: bonifico, nota di credito, scadenza",
        "supporto-tecnico": "Guasto, macchina ferma, errore sul display",
    }
)


@pytest.mark.parametrize(
    ("text", "topic"),
    [
        pytest.param("Vorrei ordinare qualcosa", "ordini", id="another form of the name"),
        pytest.param("FATTURA SBAGLIATA!!!", "fatture", id="shouted"),
        pytest.param("il bonifico è partito", "fatture", id="a word that stands alone in the description"),
        pytest.param("mi serve la nota", None, id="one word of a phrase"),
        pytest.param("mi serve la nota di credito", "fatture", id="the phrase"),
        pytest.param("il credito è annotato", None, id="half of a phrase in other words"),
        pytest.param("problema tecnico con il supporto", "supporto-tecnico", id="a name of two words"),
        pytest.param("venti sacchi, e il bonifico?", None, id="two topics alike"),
        pytest.param("la fattura dei sacchi", None, id="a name against a word is not sure enough"),
        pytest.param("la fattura e il bonifico dei sacchi", "fatture", id="two words and a name against one"),
        pytest.param("sacchi sacchi sacchi, bonifico", None, id="who repeats himself says no more"),
        pytest.param("buongiorno, come va?", None, id="no word of any topic"),
        pytest.param("domani alle 10", None, id="a time"),
        pytest.param("non funziona", None, id="a verb of all talk"),
        pytest.param("👍", None, id="no word at all"),
        pytest.param("fat\u200btura", "fatture", id="a hidden character"),
    ],
)
def test_recognise(text: str, topic: str | None) -> None:
    """By words and their forms, each once, and only when the next topic lies clearly below."""
    assert TOPICS.recognise(text) == topic


@pytest.mark.parametrize(
    "descriptions",
    [
        pytest.param({}, id="no topic"),
        pytest.param({"ordini": ""}, id="nothing said of it"),
        pytest.param({"x": "di, e, con"}, id="words that say nothing"),
    ],
)
def test_nothing_to_go_by(descriptions: dict[str, str]) -> None:
    """Without words to go by nothing is recognised."""
    assert Recogniser(descriptions).recognise("Buongiorno, come va?") is None


def test_the_order_of_topics_does_not_matter() -> None:
    """What is recognised does not depend on which topic was described first."""
    backwards = Recogniser({one: TOPICS.descriptions[one] for one in reversed([*TOPICS.descriptions])})
    for text in ("venti sacchi, e il bonifico?", "la fattura dei sacchi", "errore sul display"):
        assert backwards.recognise(text) == TOPICS.recognise(text)


def test_a_long_message_is_quick() -> None:
    """Only the beginning is read."""
    assert TOPICS.recognise("parola " * 100_000 + "bonifico") is None


@pytest.mark.parametrize(
    ("held_out", "accuracy", "wrong_switches"),
    [pytest.param(False, 0.74, 2, id="tuned on"), pytest.param(True, 0.64, 5, id="held out")],
)
def test_the_labelled_set(held_out: bool, accuracy: float, wrong_switches: int) -> None:
    """At least so many of 144 messages are where a person would put them, and at most so many are put elsewhere."""
    messages = labelled(held_out=held_out)
    verdict = judged(Recogniser(DESCRIPTIONS), messages)
    shown = "\n".join(table(verdict, list(DESCRIPTIONS)))
    assert len(messages) == 144
    assert verdict.accuracy >= accuracy, shown
    assert verdict.wrong_switches <= wrong_switches, shown


def test_the_halves() -> None:
    """No message is in both halves, or twice in one."""
    texts = [text for held_out in (False, True) for _, text in labelled(held_out=held_out)]
    assert len(texts) == len(set(texts)) == 288
