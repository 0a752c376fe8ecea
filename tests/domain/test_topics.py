"""The line of recent topics: content words of the client, in a form that can be shown."""

from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convo_service.domain import topics as rules
from convo_service.domain.digest import Said
from convo_service.domain.text import clean

START = datetime(2026, 3, 2, 9, tzinfo=UTC)


def recent_topics(messages: list[Said], *, most: int = 5) -> list[str]:
    return [topic.text for topic in rules.recent_topics(messages, most=most)]


def said(*texts: str, direction: Literal["inbound", "outbound"] = "inbound") -> list[Said]:
    return [Said(f"{direction}-{n}", direction, text, START + timedelta(minutes=n)) for n, text in enumerate(texts)]


def plain(text: str) -> str:
    return clean(text).translate(str.maketrans("\u2018\u2019", "''")).casefold()


@pytest.mark.parametrize(
    ("texts", "topics"),
    [
        pytest.param(["Buongiorno, vorrei il preventivo"], ["preventivo"], id="courtesy is no topic"),
        pytest.param(["Avete finestre?", "Quanto costa una finestra?"], ["finestre"], id="one stem, one topic"),
        pytest.param(["I need an invoice", "two invoices please"], ["invoice"], id="English plurals as well"),
        pytest.param(["Fattura. FATTURA! la fattura"], ["fattura"], id="capitals that are only a manner go"),
        pytest.param(["la caldaia di Bari"], ["Bari", "caldaia"], id="a name keeps its capital and leads"),
        pytest.param(["a room in Santa Rosa, please"], ["Santa Rosa", "room"], id="a name of two words is one"),
        pytest.param(["chiedo a Luca Bianchi", "Bianchi verifica"], ["Luca Bianchi"], id="part of a name is not twice"),
        pytest.param(["il codice è FIN-0042"], ["FIN-0042", "codice"], id="a code stays as written"),
        pytest.param(["IL CANCELLO ROTTO"], ["cancello"], id="shouting is lowered"),
        pytest.param(["passo lunedì 5 marzo alle 15:30, 3x 20kg"], [], id="times and amounts are no topics"),
        pytest.param(["scrivi a m.rossi@x.it o www.x2.it/a"], [], id="addresses are no topics"),
        pytest.param(["Potete inviarmi qualcosa? Grazie mille!"], [], id="generic verbs are no topics"),
        pytest.param(["Can you send me that again, please?"], [], id="nor English ones"),
        pytest.param(["l'iban è IT41 X097 1846 9400 0090 3166 121"], ["iban"], id="nor are groups of an account"),
        pytest.param(["codici AB-12, CD-34"], ["AB-12", "CD-34"], id="but codes in a row are"),
        pytest.param(["l'ordine", "dell'ordine"], ["ordine"], id="elided articles go"),
        pytest.param(["in via dell'Industria 21", "manda l'IBAN"], ["Industria", "IBAN"], id="from names as well"),
        pytest.param(["L'IBAN di L'Aquila"], ["IBAN", "L'Aquila"], id="but L'Aquila keeps hers"),
        pytest.param(["spengo il forno e vado via"], ["forno"], id="a verb has no article"),
        pytest.param(["la guardo, le chiudo, lo firmo: la merce"], ["merce"], id="nor is la always one"),
        pytest.param(["il sacco è bucato, ha perso farina"], ["sacco"], id="nor has a participle"),
        pytest.param(["la solita farina della settimana scorsa"], ["farina"], id="an adjective may stand between"),
        pytest.param(["alle 17 chiudo", "servono 20 sacchi"], ["sacchi"], id="of a number there are several"),
        pytest.param(["olio per friggere", "ancora olio"], ["olio"], id="what comes again needs no article"),
        pytest.param(["mandatele subito", "mandatele oggi la bolla"], ["bolla"], id="unless it is a verb"),
        pytest.param(["preventivo caldaia?"], ["preventivo", "caldaia"], id="nor does any if none has one"),
        pytest.param(["Grazie e buon ponte"], [], id="a wish is no topic"),
        pytest.param([], [], id="nothing said"),
    ],
)
def test_topics(texts: list[str], topics: list[str]) -> None:
    """A topic is a content word, once per stem, written as the client wrote it."""
    assert recent_topics(said(*texts)) == topics


def test_the_client_counts_more() -> None:
    """What the client says once outweighs what the bot says twice."""
    bot = said("Ecco il catalogo", "Guardi il catalogo", direction="outbound")
    assert recent_topics([*bot, *said("mi serve la garanzia")], most=1) == ["garanzia"]


def test_the_clients_form_is_shown() -> None:
    """The word stands as the client wrote it, though the bot wrote it otherwise first."""
    bot = said("Ecco i preventivi", direction="outbound")
    assert recent_topics([*bot, *said("il preventivo")], most=1) == ["preventivo"]


@settings(deadline=None)
@given(st.lists(st.text(max_size=80), max_size=6), st.integers(0, 7))
def test_any_messages(texts: list[str], most: int) -> None:
    """There are never more topics than asked for, each was said, and the order of the rows changes nothing."""
    messages = said(*texts)
    topics = recent_topics(messages, most=most)
    assert len(topics) <= most
    everything = plain(" ".join(texts))
    assert all(word in everything for topic in topics for word in plain(topic).split())
    assert recent_topics(messages[::-1], most=most) == topics


def test_where_a_topic_was_said() -> None:
    """A topic names every message that holds it, the newest first."""
    found = rules.recent_topics([*said("la caldaia perde", "il cancello"), *said("Caldaia?", direction="outbound")])
    assert {topic.text: topic.message_ids for topic in found} == {
        "caldaia": ("outbound-0", "inbound-0"),
        "cancello": ("inbound-1",),
    }
