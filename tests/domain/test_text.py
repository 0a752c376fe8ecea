"""What is cleaned, cut and split, as tables and as properties of any text."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convo_service.domain.text import SENTENCE_CHARS, clean, cut, sentences, tokens

any_text = st.text(st.characters(exclude_categories=()))


@pytest.mark.parametrize(
    ("text", "price"),
    [
        pytest.param("", 0, id="nothing costs nothing"),
        pytest.param("a", 1, id="a letter is a token"),
        pytest.param("abcd", 1, id="four letters are one"),
        pytest.param("abcde", 2, id="the fifth begins another"),
    ],
)
def test_tokens(text: str, price: int) -> None:
    """A text costs a quarter of its characters, rounded up."""
    assert tokens(text) == price


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        pytest.param("  due\n\n\trighe  ", "due righe", id="blanks collapse to one space"),
        pytest.param("uno\u2028due\x85tre", "uno due tre", id="line separators are blanks"),
        pytest.param("a\x00b\x07c", "abc", id="controls go"),
        pytest.param("pa\u200bss\u200dwo\ufeffrd", "password", id="zero width goes"),
        pytest.param("\u202egnal\u2066x\u2069", "gnalx", id="bidi goes"),
        pytest.param("hi\U000e0069\U000e0067\U000e007f", "hi", id="tag characters go"),
        pytest.param("\u2764\ufe0f\U000e0101", "\u2764", id="variation selectors go"),
        pytest.param("a\ud800b", "ab", id="a lone surrogate goes"),
        pytest.param("\u3164\uffa0\u115f\u034f", "", id="fillers that look like nothing go"),
        pytest.param("\uff21\uff22\uff0c \ufb01ne", "AB, fine", id="compatibility forms become plain"),
        pytest.param("perche\u0301 no", "perché no", id="accents are composed"),
        pytest.param("1.250,50 € 👍", "1.250,50 € 👍", id="what is seen stays"),
    ],
)
def test_clean(text: str, cleaned: str) -> None:
    """Nothing that a reader cannot see goes into a seed, and what he can see does."""
    assert clean(text) == cleaned


@given(any_text)
def test_cleaning_twice_changes_nothing(text: str) -> None:
    """A cleaned text is clean, storable, normal and on one line."""
    cleaned = clean(text)
    assert clean(cleaned) == cleaned
    assert b"\x00" not in cleaned.encode()
    assert unicodedata.is_normalized("NFKC", cleaned)
    assert cleaned.split(" ") == (cleaned.split() or [""])


def test_no_character_hides() -> None:
    """No control, format or surrogate character survives, but for the few format characters that are printed."""
    printed = {"ARABIC", "SYRIAC", "KAITHI", "EGYPTIAN"}
    hidden = [
        char
        for char in map(chr, range(0x110000))
        if unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"} and clean(f"a{char}b") not in {"ab", "a b"}
    ]
    assert {unicodedata.name(char).split()[0] for char in hidden} <= printed


def test_stacked_marks_are_cut_short() -> None:
    """Thousands of accents on one letter, which are slow to normalise, become at most thirty."""
    assert len(clean("a" + "\u0301\u0323" * 4000)) <= 31


@pytest.mark.parametrize(
    ("text", "limit", "short"),
    [
        pytest.param("uno due", 7, "uno due", id="what fits stays"),
        pytest.param("uno due", 6, "uno", id="at a space"),
        pytest.param("uno due tre", 7, "uno due", id="at the space behind the limit"),
        pytest.param("unodue", 3, "uno", id="without a space anywhere"),
        pytest.param("unodue", 0, "u", id="never nothing"),
        pytest.param("", 0, "", id="nothing of nothing"),
    ],
)
def test_cut(text: str, limit: int, short: str) -> None:
    """A text is cut at a space where there is one, and something is always left."""
    assert cut(text, limit) == short


@pytest.mark.parametrize(
    ("text", "split"),
    [
        pytest.param("Ciao. Come va? Bene!", ["Ciao.", "Come va?", "Bene!"], id="at each stop"),
        pytest.param("prima; poi\nalla fine", ["prima;", "poi", "alla fine"], id="semicolon and line"),
        pytest.param("non so… forse", ["non so...", "forse"], id="ellipsis"),
        pytest.param("Sono 1.250,50 euro. Ok", ["Sono 1.250,50 euro.", "Ok"], id="a number is whole"),
        pytest.param("a m.rossi@x.it. Poi", ["a m.rossi@x.it.", "Poi"], id="an address is whole"),
        pytest.param("su www.x.it/a?b=c! Ok", ["su www.x.it/a?b=c!", "Ok"], id="a link is whole"),
        pytest.param("la Rossi S.r.l. di Bari", ["la Rossi S.r.l. di Bari"], id="S.r.l."),
        pytest.param("la Bianchi S.p.A. ha", ["la Bianchi S.p.A. ha"], id="S.p.A."),
        pytest.param("fatt. n. 5, es. la prima", ["fatt. n. 5, es. la prima"], id="abbreviations"),
        pytest.param("con Ri.Ba. a 60 giorni", ["con Ri.Ba. a 60 giorni"], id="Ri.Ba."),
        pytest.param("D.D.T. n. 5, C.F. e P. IVA", ["D.D.T. n. 5, C.F. e P. IVA"], id="initials"),
        pytest.param("il 15 c.a. o il 5 p.v. al bar", ["il 15 c.a. o il 5 p.v. al bar"], id="of dates"),
        pytest.param("Egr. sig. Re, ns. rif. 7, vs. all. 2", ["Egr. sig. Re, ns. rif. 7, vs. all. 2"], id="of letters"),
        pytest.param("a 30 gg. o 5 kg. di riso", ["a 30 gg. o 5 kg. di riso"], id="units"),
        pytest.param("Ne prendo 5 kg. Poi pago", ["Ne prendo 5 kg.", "Poi pago"], id="a unit that ends a sentence"),
        pytest.param("That's all. Thanks", ["That's all.", "Thanks"], id="a word that is also an abbreviation"),
        pytest.param("at 5 p.m. on Monday", ["at 5 p.m. on Monday"], id="p.m."),
        pytest.param("1. pizza\n2. pasta", ["1. pizza", "2. pasta"], id="a numbered list"),
        pytest.param("alle 15. Poi", ["alle 15.", "Poi"], id="a number ends a sentence"),
        pytest.param('Disse "no." Poi', ['Disse "no."', "Poi"], id="a quote is closed first"),
        pytest.param("\u200b \n\t", [], id="nothing to see"),
        pytest.param("...", ["..."], id="only stops"),
    ],
)
def test_sentences(text: str, split: list[str]) -> None:
    """A text is split where a sentence ends and nowhere inside a number, an address, a link or an abbreviation."""
    assert list(sentences(text)) == split


@given(any_text)
def test_no_sentence_is_empty_and_none_is_lost(text: str) -> None:
    """The sentences together are the cleaned text."""
    found = list(sentences(text))
    assert all(found)
    assert "".join(found).replace(" ", "") == clean(text).replace(" ", "")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("parola " * 1143, id="words without a stop"),
        pytest.param("x" * 8000, id="no space at all"),
        pytest.param("a.b." * 2000, id="stops without a space"),
    ],
)
def test_long_texts_come_in_pieces(text: str) -> None:
    """Eight thousand characters without an end come in pieces of at most 300, at spaces where there are any."""
    found = list(sentences(text))
    assert max(map(len, found)) <= SENTENCE_CHARS
    assert len(found) <= 8000 / SENTENCE_CHARS + 2
    assert " ".join(found).split() == text.split() or " " not in text
