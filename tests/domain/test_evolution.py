"""What Evolution API says, in our words."""

import pytest

from convo_service.domain.evolution import identity_of, text_of


@pytest.mark.parametrize(
    ("jid", "identity"),
    [
        pytest.param("393331234567@s.whatsapp.net", "+393331234567", id="a number"),
        pytest.param("393331234567:12@s.whatsapp.net", "+393331234567", id="another device of it"),
        pytest.param("393331234567@c.us", "+393331234567", id="as it was written once"),
        pytest.param("120363025246125486@g.us", "120363025246125486@g.us", id="a group"),
        pytest.param("223344556677@lid", "223344556677@lid", id="a user without a number"),
        pytest.param("maria@s.whatsapp.net", "maria@s.whatsapp.net", id="no number"),
        pytest.param("٣٩٣٣٣@s.whatsapp.net", "٣٩٣٣٣@s.whatsapp.net", id="other digits"),
        pytest.param("+39 333 123 4567", "+39 333 123 4567", id="no address"),
    ],
)
def test_identity(jid: str, identity: str) -> None:
    """A personal address is its number; any other is what it is."""
    assert identity_of(jid) == identity


@pytest.mark.parametrize(
    ("query", "text"),
    [
        pytest.param("Avete la farina?", "Avete la farina?", id="words"),
        pytest.param("imageMessage|3EB0A1|la bolla\ndi ieri", "[image] la bolla\ndi ieri", id="a picture with words"),
        pytest.param("imageMessage|https://media.example/1.jpg?x=1", "[image]", id="a picture"),
        pytest.param("audioMessage|3EB0A1", "[audio]", id="a voice"),
        pytest.param("documentWithCaptionMessage|3EB0A1|offerta", "[document] offerta", id="a document"),
        pytest.param("[audio] vorrei due sacchi", "[audio] vorrei due sacchi", id="a voice that was written down"),
        pytest.param("ciao\nexternalAdReplyBody|Farine in offerta", "ciao\nFarine in offerta", id="an advertisement"),
        pytest.param("cos'è imageMessage|x?", "cos'è imageMessage|x?", id="words about it"),
    ],
)
def test_text(query: str, text: str) -> None:
    """Ids and addresses of media are no words of anybody's."""
    assert text_of(query) == text
