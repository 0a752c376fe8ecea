"""The values of a text: one form for each, whatever its spelling, and never a part of one for the whole."""

import sys
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convo_service.domain.text import clean
from convo_service.domain.values import claims, values

IBAN = "it60x0542811101000000123456"
WORDS = """
    5 12,50 1.250,50 1,250 € $ % ° kg days 15:30 17:00 h9 alle ore 25/11 2026-11-25 novembre November 2026 333 1234567
    +39 4567 02 IT60 X054 2811 1010 0000 0123 456 ORD-2025/114 4711-B m@x.it www.x.it/a3 per cento ( ) , . - 'ho l' m²
    RSS MRA 80A01 H501U n.88 nº3 25th 4711L 30-day di of
"""
spoken = st.lists(st.sampled_from(WORDS.split()), min_size=1, max_size=14).map(" ".join)
texts = st.one_of(spoken, st.text(st.characters(exclude_categories=()), max_size=60))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param("Ciao, come va?", set(), id="no value"),
        pytest.param("due bancali", set(), id="number words are none"),
        pytest.param("ordine 4711 12 pezzi", {"4711", "12", "12 pz"}, id="two neighbouring numbers"),
        pytest.param("ORD-2025/114, 4711-B e DDT 88.", {"ord-2025/114", "4711-b", "88"}, id="codes"),
        pytest.param("n.88 nº89 n° 90 #91 art. 92", {"88", "89", "90", "91", "92"}, id="number signs"),
        pytest.param("*50* _60_ (70) «80»", {"50", "60", "70", "80"}, id="edges"),
        pytest.param("dell'88 e l'ordine", {"88"}, id="behind an apostrophe"),
        pytest.param("email:Mario.Rossi+b@Acme.it.", {"mario.rossi+b@acme.it"}, id="an address"),
        pytest.param("scrivi a @mario", {"@mario"}, id="a mention"),
        pytest.param("vedi https://x.it/a3?b=4.", {"https://x.it/a3?b=4"}, id="a link as a whole"),
        pytest.param("50 euro", {"50", "50 eur"}, id="an amount"),
        pytest.param("€ 50", {"50", "50 eur"}, id="the sign in front"),
        pytest.param("EUR 50,00", {"50", "50 eur"}, id="the code in front, and cents"),
        pytest.param("50€", {"50", "50 eur"}, id="the sign at once"),
        pytest.param("50 $", {"50", "50 usd"}, id="dollars"),
        pytest.param("4711 €50", {"4711", "50", "50 eur"}, id="a sign glued to the second of two"),
        pytest.param("50€ 20", {"50", "50 eur", "20"}, id="a sign glued to the first of two"),
        pytest.param("50 € 20 pezzi", {"50", "50 eur", "20", "20 pz"}, id="the second has its own unit"),
        pytest.param("4711 € 50", {"4711", "4711 eur", "50", "50 eur"}, id="a sign that may be of both"),
        pytest.param("1.250,00 €", {"1250", "1250 eur"}, id="an Italian amount"),
        pytest.param("1,250.00", {"1250"}, id="an English amount"),
        pytest.param("1.250.000", {"1250000"}, id="millions"),
        pytest.param("1.250,50", {"1250.50"}, id="cents"),
        pytest.param("12,5 kg", {"12.5", "12.5 kg"}, id="a decimal"),
        pytest.param("1,250", {"1,250"}, id="a thousand or a fraction"),
        pytest.param("1.250", {"1.250"}, id="a fraction or a thousand"),
        pytest.param("20%", {"20", "20 %"}, id="a percentage"),
        pytest.param("20 %", {"20", "20 %"}, id="with a blank"),
        pytest.param("20 per cento", {"20", "20 %"}, id="in words"),
        pytest.param("3 bancali", {"3", "3 pallet"}, id="pallets"),
        pytest.param("5kg", {"5", "5 kg"}, id="a unit at once"),
        pytest.param("500g", {"500 g"}, id="a letter at once may be of a code"),
        pytest.param("4711-b", {"4711-b"}, id="a letter behind a dash is one"),
        pytest.param("30-day terms", {"30", "30 giorni"}, id="a unit behind a dash"),
        pytest.param("20 m² e 3 m³", {"20", "20 mq", "3", "3 mc"}, id="areas"),
        pytest.param("ordine 5 l'ho preso", {"5"}, id="an article is no litre"),
        pytest.param("-18 °C", {"-18 °", "18"}, id="below zero"),
        pytest.param("-5 kg di mele", {"5", "5 kg"}, id="a dash of a list"),
        pytest.param("25/11 alle 14:30", {"25/11", "25th", "14:30"}, id="a day and a time"),
        pytest.param("alle 09:00", {"9"}, id="a full hour"),
        pytest.param("h. 9, h9, h9:30", {"9", "9:30"}, id="h for hour"),
        pytest.param("4711 ore 17", {"4711", "17"}, id="the hour is of what follows"),
        pytest.param("48 ore", {"48", "48 ore"}, id="hours"),
        pytest.param("05/06", {"5/6", "5th"}, id="zeros of a date"),
        pytest.param("25 novembre", {"25/11", "25th"}, id="a month in words"),
        pytest.param("25 of November 2026", {"25/11", "25th", "2026", "25/11/2026"}, id="with its year"),
        pytest.param("November 25", {"25/11", "25th"}, id="the month in front"),
        pytest.param("25.11.26", {"25/11", "25th", "2026", "25/11/2026"}, id="a short year"),
        pytest.param("2026-11-25", {"25/11", "25th", "2026", "25/11/2026"}, id="the year in front"),
        pytest.param("45 novembre", {"45"}, id="no day"),
        pytest.param("il 25th", {"25th"}, id="an ordinal"),
        pytest.param("8th of March", {"8/3", "8th"}, id="an ordinal with its month"),
        pytest.param("giovedì 10 alle 4", {"10", "10th", "4"}, id="a day of the week makes it a day"),
        pytest.param("88/12, 10-12", {"88/12", "10-12"}, id="no dates"),
        pytest.param("P.IVA IT01234567890", {"01234567890"}, id="a VAT number with its country"),
        pytest.param("p.iva: 01234567890", {"01234567890"}, id="a VAT number"),
        pytest.param("RSSMRA80A01H501U", {"rssmra80a01h501u"}, id="a fiscal code"),
        pytest.param("rss mra 80a01 h501u", {"rssmra80a01h501u"}, id="a fiscal code in groups"),
        pytest.param("IT60X0542811101000000123456", {IBAN}, id="an IBAN"),
        pytest.param("it60 x054 2811 1010 0000 0123 456 entro il 5", {IBAN, "5", "5th"}, id="an IBAN in groups"),
        pytest.param("IT60-X054-2811-1010-0000-0123-456", {IBAN}, id="an IBAN with dashes"),
        pytest.param("IT 60 X 05428 11101 000000123456", {IBAN}, id="an IBAN as banks print it"),
        pytest.param("DE89 3704 0044 0532 0130 00 grazie", {"de89370400440532013000"}, id="a German IBAN"),
        pytest.param("IT60 X054 2811 1010 0000 0123", {"it60x0542811101000000123"}, id="a cut IBAN is one value"),
        pytest.param("+39 333 123 4567", {"393331234567", "3331234567"}, id="a phone number"),
        pytest.param("0039 333 123 4567", {"393331234567", "3331234567"}, id="zeros for the plus"),
        pytest.param("+39-333-123-4567", {"393331234567", "3331234567"}, id="a phone number with dashes"),
        pytest.param("+44 20 7946 0958", {"442079460958"}, id="another country"),
        pytest.param("333 1234567", {"3331234567", "333", "1234567"}, id="two groups may be a phone number"),
        pytest.param("(02) 1234 5678", {"0212345678"}, id="brackets"),
        pytest.param("02/12345678 o 333.123.4567", {"0212345678", "3331234567"}, id="other marks"),
        pytest.param("333 123 4567 5 kg", {"3331234567", "5", "5 kg"}, id="a unit ends the groups"),
        pytest.param("12 34 56", {"123456"}, id="three groups are one value"),
        pytest.param("192.168.1.10", {"192.168.1.10"}, id="no phone number"),
        pytest.param("\uff15\uff10\u00a0euro\u200b", {"50", "50 eur"}, id="wide digits, hidden characters"),
    ],
)
def test_values(text: str, found: set[str]) -> None:
    """Each value has one form, and what may be said alone of it is one as well."""
    assert values(text) == found


@pytest.mark.parametrize(
    ("text", "claimed"),
    [
        pytest.param("50 euro", {"50 eur"}, id="with its unit"),
        pytest.param("25 novembre", {"25/11"}, id="with its month"),
        pytest.param("333 1234567", {"3331234567"}, id="as a phone number"),
        pytest.param("4711", {"4711"}, id="as it is"),
    ],
)
def test_claims(text: str, claimed: set[str]) -> None:
    """A text claims what it says in full."""
    assert claims(text) == claimed


@given(texts)
def test_a_text_claims_no_more_than_its_values(text: str) -> None:
    """What is said in full is among the values."""
    assert claims(text) <= values(text)


@given(texts)
def test_values_see_the_cleaned_text(text: str) -> None:
    """What is hidden in a text, and how it is spread over lines, changes no value."""
    assert values(text) == values(clean(text))


@given(texts)
def test_no_digit_is_overlooked(text: str) -> None:
    """Where there is a digit there is a value, and the digits of a value stand in the text."""
    has_digit = any(char.isdecimal() for char in clean(text))
    assert not has_digit or values(text)


@given(st.lists(st.integers(0, 99_999), min_size=1, max_size=6), st.sampled_from(["kg", "pezzi", "%", "euro"]))
def test_a_unit_is_said_with_its_number(numbers: list[int], unit: str) -> None:
    """Another unit is another value, while the bare number stays."""
    text = ", ".join(f"{number} {unit}" for number in numbers)
    bare = ", ".join(map(str, numbers))
    assert values(bare) < values(text)
    assert not claims(text.replace(unit, "mesi")) & values(text)


@given(st.integers(5, 26), st.integers(1, 9))
def test_a_changed_digit_changes_the_iban(place: int, more: int) -> None:
    """An account with another digit is another value."""
    changed = IBAN[:place] + str((int(IBAN[place]) + more) % 10) + IBAN[place + 1 :]
    assert not values(changed) & values(IBAN)


def test_a_number_without_end_is_no_day() -> None:
    """A row of digits before a month, longer than any number can be read, is one value as it stands."""
    digits = "03" + "1" * 6_000
    assert values(f"{digits} novembre") == {digits}


def steps(text: str) -> int:
    """How many lines run and how many functions are called for the values of a text."""
    count = 0

    def tracer(_frame: FrameType, _event: str, _argument: object) -> Any:
        nonlocal count
        count += 1
        return tracer

    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        values(text)
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize(
    "unit",
    [
        pytest.param("1", id="digits"),
        pytest.param("a", id="letters"),
        pytest.param("1 ", id="single digits"),
        pytest.param("1.", id="dots"),
        pytest.param("1 €", id="prices"),
        pytest.param("it60 ", id="beginnings of an account"),
        pytest.param("333 1234567 ", id="phone numbers"),
        pytest.param("5 kg ", id="weights"),
        pytest.param("25 di ", id="beginnings of a date"),
        pytest.param("a@", id="addresses"),
    ],
)
def test_the_work_grows_with_the_text(unit: str) -> None:
    """Four times the text is about four times the work."""
    small = (unit * 2_000)[:2_000]
    assert steps((unit * 8_000)[:8_000]) <= 4.5 * steps(small) + 500
