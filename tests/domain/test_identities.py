"""Identities: phone numbers, BSUIDs and opaque names in the form they are stored in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convo_service.domain.identities import Identity, normalise
from convo_service.errors import InvalidIdentity


@pytest.mark.parametrize(
    ("raw", "value", "kind"),
    [
        pytest.param("+39 333 123-4567", "+393331234567", "phone", id="as people write it"),
        pytest.param("00393331234567", "+393331234567", "phone", id="with the international prefix"),
        pytest.param("393331234567", "+393331234567", "phone", id="as WhatsApp's webhook has it"),
        pytest.param(" 393331234567 ", "+393331234567", "phone", id="with blanks around"),
        pytest.param("1234567", "+1234567", "phone", id="seven digits"),
        pytest.param("123456789012345", "+123456789012345", "phone", id="fifteen digits"),
        pytest.param("123456", "123456", "opaque", id="six digits"),
        pytest.param("1234567890123456", "1234567890123456", "opaque", id="sixteen digits"),
        pytest.param("IT.13491208655302741918", "IT.13491208655302741918", "bsuid", id="a business-scoped id"),
        pytest.param("it.1349", "it.1349", "opaque", id="in small letters it is none"),
        pytest.param("cliente-Ü 42", "cliente-Ü 42", "opaque", id="anything else"),
        pytest.param("+٣٩٣٣٣١٢٣٤٥٦", "+٣٩٣٣٣١٢٣٤٥٦", "opaque", id="digits of another script are no phone number"),
    ],
)
def test_kinds(raw: str, value: str, kind: str) -> None:
    """Each kind is recognised by its form and stored in one spelling."""
    assert normalise(raw) == Identity(value, kind)  # type: ignore[arg-type]


@pytest.mark.parametrize("raw", ["", "   ", "x" * 129, "a\u200bb", "a\nb", "usr_somebody", "\x00"])
def test_refused(raw: str) -> None:
    """What nobody can see, what is too long, and what looks like one of our own ids is refused."""
    with pytest.raises(InvalidIdentity):
        normalise(raw)


@given(st.text(alphabet="0123456789+ -", max_size=30))
def test_normalising_twice(raw: str) -> None:
    """A stored identity is its own normal form."""
    try:
        once = normalise(raw)
    except InvalidIdentity:
        return
    assert normalise(once.value) == once
