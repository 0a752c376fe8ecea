"""Which words go when a sentence is retold, which stay, and which are equal."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convo_service.domain.text import clean, sentences
from convo_service.domain.words import is_negation, stem, telegraphic

WORDS = """
    il la L' di a A e the of to I is è ho posso vorrei grazie ciao please non no mai don't without nessuno senza 5 12,50
    1.250,50 € kg anni giorni days 15:30 8th am per cento from da dalle Roma La Spezia Will IT m@x.it www.x.it/a3 S.r.l.
    lunedì domani buon lavoro una un o d'accordo, come fino entro prima parte nuovo alle con tra e le ai
    prezzo consegna delivery order ordine l'ordine dell'ha , . ? ! (il "la" non, grazie. posso? - 👍
"""
UNITS_AND_QUANTITIES = """
    anni ore giorni mesi euro kg metri am pm days years hours due tre sei one two more less più meno solo only
"""
spoken = st.lists(st.sampled_from(WORDS.split()), min_size=1, max_size=14).map(" ".join)
texts = st.one_of(spoken, st.text(st.characters(exclude_categories=()), max_size=60))


def plain(text: str) -> str:
    return clean(text).translate(str.maketrans("\u2018\u2019", "''"))


def values(sentence: str) -> set[str]:
    return {word for word in re.findall(r"\w+", plain(sentence)) if any(map(str.isdigit, word))}


def denials(sentence: str) -> list[str]:
    """The negations of a sentence, as often as they stand there."""
    return sorted(word for word in re.findall(r"[\w']+", plain(sentence).lower()) if is_negation(word.strip("'")))


@pytest.mark.parametrize(
    ("sentence", "short"),
    [
        pytest.param(
            "Ciao, vorrei il prezzo di 5 kg di mele.", "prezzo 5 kg mele", id="articles, courtesy, auxiliaries"
        ),
        pytest.param(
            "Could you please send the invoice to my office?", "send invoice office?", id="in English as well"
        ),
        pytest.param("Non ho ricevuto la fattura", "Non ho ricevuto fattura", id="a negation keeps its auxiliary"),
        pytest.param(
            "Giovedì non posso, facciamo venerdì", "Giovedì non posso, facciamo venerdì", id="up to its comma"
        ),
        pytest.param("I don't have the keys", "don't have the keys", id="n't, and all up to what is denied"),
        pytest.param("OK, IT e il prezzo", "IT prezzo", id="capitals do not make courtesy a code"),
        pytest.param("No, grazie, sono a posto", "No, a posto", id="a comma goes with the word that brought it"),
        pytest.param("passa tra le 14 e le 16", "passa tra 14 e 16", id="two numbers do not run together"),
        pytest.param("sconto del 5 per cento", "sconto 5 per cento", id="nor a number and its hundred"),
        pytest.param("aperto dalle 9?", "aperto dalle 9?", id="since when"),
        pytest.param("vengo dalla stazione", "vengo stazione", id="but not where from, unless it is named"),
        pytest.param("fly from Atlanta to Boston", "fly from Atlanta to Boston", id="two names do not run together"),
        pytest.param("sono di La Spezia", "La Spezia", id="an article of a name"),
        pytest.param("al terminale A", "terminale A", id="a letter that is a name"),
        pytest.param("they sell it in the US", "they sell US", id="US is not us"),
        pytest.param("dell'ordine e l'indirizzo a L'Aquila", "ordine indirizzo L'Aquila", id="elided articles"),
        pytest.param("ha 3 anni", "3 anni", id="units stay"),
        pytest.param("sono sei, alle 8 am", "sei, alle 8 am", id="what is also a number or a unit stays"),
        pytest.param('il sig. "Rossi" (capo)', "sig. Rossi capo", id="quotes and brackets go"),
        pytest.param("www.x.it/a_(b) (il mio)", "www.x.it/a_(b)", id="but not those of a link"),
        pytest.param("Quanto costa questo?", "Quanto costa?", id="a question stays a question"),
        pytest.param(
            "da lunedì 19 a mercoledì 28 siamo chiusi", "da lunedì 19 a mercoledì 28 chiusi", id="from day to day"
        ),
        pytest.param("domani e lunedì siamo chiusi", "domani e lunedì chiusi", id="two days do not run together"),
        pytest.param("open from monday to friday", "open from monday to friday", id="nor in English"),
        pytest.param("resta valido fino al 20 ottobre", "resta valido fino al 20 ottobre", id="until when"),
        pytest.param("prima delle 7 o entro il 20", "prima delle 7 o entro il 20", id="before when"),
        pytest.param("a 56 le prendo", "a 56 prendo", id="at what price"),
        pytest.param("alle 17 chiudo", "alle 17 chiudo", id="at what time"),
        pytest.param("li voglio per i 30 kg", "voglio per 30 kg", id="for how much"),
        pytest.param("mettimene una, grazie", "mettimene una", id="an article that counts"),
        pytest.param("mettimene una o due", "mettimene una o due", id="before another number"),
        pytest.param("600 da un chilo", "600 da un chilo", id="before a unit"),
        pytest.param("e 4 sacchi e 1 tanica", "4 sacchi e 1 tanica", id="a list of numbers goes on"),
        pytest.param("una tanica e un sacco", "tanica sacco", id="an article that does not"),
        pytest.param("li ho messi da parte", "messi da parte", id="a phrase is whole"),
        pytest.param("la farina è di nuovo a posto", "farina di nuovo a posto", id="two of them"),
        pytest.param("a 60 come d'accordo", "a 60 come d'accordo", id="agreed"),
        pytest.param("d'accordo, 3 sacchi", "3 sacchi", id="agreed is courtesy when it begins"),
        pytest.param("A lei, buon lavoro per lunedì!", "lunedì", id="a wish goes"),
        pytest.param("No, buon fine settimana!", "No", id="of two words as well"),
        pytest.param("un buon prezzo per il ponte", "prezzo ponte", id="what is good is no wish"),
        pytest.param("Grazie a te!", "Grazie a te!", id="nothing but function words stays as it is"),
        pytest.param("...", "...", id="nothing but stops as well"),
    ],
)
def test_telegraphic(sentence: str, short: str) -> None:
    """Only what a reader puts back without thinking is dropped."""
    assert telegraphic(sentence) == short


@settings(deadline=None)
@given(texts)
def test_telling_twice_changes_nothing(text: str) -> None:
    """A telegraphic sentence is its own telegraphic sentence."""
    for sentence in sentences(text):
        short = telegraphic(sentence)
        assert short
        assert telegraphic(short) == short


@settings(deadline=None)
@given(texts)
def test_numbers_and_negations_stay(text: str) -> None:
    """Every number and every negation of a sentence stands in what is told of it."""
    for sentence in sentences(text):
        short = telegraphic(sentence)
        assert values(short) == values(sentence)
        assert denials(short) == denials(sentence)


@pytest.mark.parametrize("word", UNITS_AND_QUANTITIES.split())
def test_units_and_quantities_are_never_dropped(word: str) -> None:
    """The words that stock stop lists drop, and that change what was said, stay."""
    assert telegraphic(f"il {word}") == word


@pytest.mark.parametrize(
    "forms",
    [
        pytest.param("fattura fatture", id="fattura"),
        pytest.param("pagamento pagamenti pagato pagare", id="pagare"),
        pytest.param("invoice invoices", id="invoice"),
        pytest.param("price prices", id="price"),
        pytest.param("booking booked book", id="book"),
    ],
)
def test_stem(forms: str) -> None:
    """Forms of one word are one word, in both languages, without being told which."""
    assert len({stem(form) for form in forms.split()}) == 1


def test_a_very_long_word_is_its_own_stem() -> None:
    """What is longer than any word is not stemmed."""
    assert stem("invoices" * 50) == "invoices" * 50
