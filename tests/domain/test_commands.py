"""Commands: `/new` and its synonyms, and what only looks like them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convo_service.domain.commands import command_length, described, named_topic

COMMANDS = frozenset({"/new", "/nuova", "/reset"})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("/new", "", id="plain"),
        pytest.param("  /NEW \n", "", id="blanks and capitals"),
        pytest.param("/nuova", "", id="Italian"),
        pytest.param("/new vorrei un preventivo", "vorrei un preventivo", id="with a text"),
        pytest.param("\u200b/ne\u200dw\u2060 ciao", "ciao", id="zero-width characters"),
        pytest.param("\uff0f\uff4e\uff45\uff57", "", id="full-width letters"),
        pytest.param("/new\u00a0ciao", "ciao", id="a no-break space"),
    ],
)
def test_commands(text: str, said: str) -> None:
    """The first word decides, whatever a keyboard put around it; the rest is what was said."""
    length = command_length(text, COMMANDS)
    assert length > 0
    assert text[length:] == said


@pytest.mark.parametrize("text", ["/newsletter", "please /new", "new", "//new", "/new!", "", "   ", "\u200b", "/ new"])
def test_ordinary_text(text: str) -> None:
    """What only contains a command is ordinary text."""
    assert command_length(text, COMMANDS) == 0


@given(st.text())
def test_any_text(text: str) -> None:
    """Any text is judged without an error, and the length lies within it."""
    assert 0 <= command_length(text, COMMANDS) <= len(text)


@pytest.mark.parametrize(
    ("said", "topic"),
    [
        pytest.param("ordini", "ordini", id="its name"),
        pytest.param(" Ordini! ", "ordini", id="as people write it"),
        pytest.param("Supporto Tecnico", "supporto_tecnico", id="in two words"),
        pytest.param("qualità", "qualita", id="with its accent"),
        pytest.param("ÓRDINI", "ordini", id="with one in its middle"),
        pytest.param("ordini di ieri", None, id="and more"),
        pytest.param("ordine", None, id="another form of it"),
        pytest.param("", None, id="nothing"),
        pytest.param("!?", None, id="no word"),
        pytest.param("\u200bordini", "ordini", id="with what nobody sees"),
    ],
)
def test_named_topic(said: str, topic: str | None) -> None:
    """A topic is named when its name is all that was said, however it is written."""
    assert named_topic(said, ("ordini", "supporto_tecnico", "qualita")) == topic


@pytest.mark.parametrize("language", ["it", "en"])
def test_described(language: str) -> None:
    """What WhatsApp shows beside a command is short enough for it, however many topics there are."""
    assert len(described(language, ())) <= 256
    many = described(language, [f"argomento-{number}" for number in range(100)])
    assert len(many) <= 256
    assert "argomento-0" in many
