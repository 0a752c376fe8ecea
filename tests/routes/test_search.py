"""The search through what was said: which words find what, in which order, and that nothing in them is syntax."""

from datetime import timedelta

import pytest

from tests.conftest import MONDAY, Clock
from tests.gateway import Gateway, assert_problem

SAID = {
    "farina": "Vorrei 25 sacchi di farina Manitoba W350",
    "perché": "Perché l'ordine 4471 non è ancora arrivato?",
    "caffè": "Due CAFFÈ e un tè, grazie",
    "mail": "Scrivetemi a maria.bianchi@example.it: è urgente!",
    "drawn": "Un po\u2019 d\u2019olio — «extravergine»…",
    "quoted": 'Ha detto "domani mattina" (forse)',
}


@pytest.fixture
async def said(gateway: Gateway, clock: Clock) -> None:
    """A message of each, an hour apart."""
    for text in SAID.values():
        await gateway.say(text, at=clock.advance(hours=1))


async def found(gateway: Gateway, q: str) -> list[str]:
    """The names of what is found."""
    names = {text: name for name, text in SAID.items()}
    return [names[row["text"]] for row in await gateway.listed("/messages", q=q)]


@pytest.mark.parametrize(
    ("q", "names"),
    [
        pytest.param("farina", ["farina"], id="a word"),
        pytest.param("FARINA manitoba", ["farina"], id="two words, whatever the capitals"),
        pytest.param("farina ordine", [], id="all words have to be there"),
        pytest.param("manit", ["farina"], id="the last word may be unfinished"),
        pytest.param("manit farina", [], id="the first may not"),
        pytest.param("perche", ["perché"], id="without its accent"),
        pytest.param("caffè", ["caffè"], id="with its accent"),
        pytest.param("CAFFE", ["caffè"], id="in capitals without its accent"),
        pytest.param("l'ordine 4471", ["perché"], id="an apostrophe"),
        pytest.param("w350", ["farina"], id="a word with a number"),
        pytest.param("maria.bianchi@example.it", ["mail"], id="an address"),
        pytest.param('"domani', ["quoted"], id="an open quotation mark"),
        pytest.param("urgente! & grazie", [], id="an ampersand is none"),
        pytest.param("farina | ordine", [], id="a bar is none"),
        pytest.param("farina OR ordine", [], id="nor is OR"),
        pytest.param("NOT farina", [], id="nor NOT"),
        pytest.param("farina*", ["farina"], id="a star is punctuation"),
        pytest.param("text:farina", [], id="no column is named"),
        pytest.param("extravergine", ["drawn"], id="a word in typographic marks"),
        pytest.param("d'olio", ["drawn"], id="a typographic apostrophe"),
        pytest.param("(forse)", ["quoted"], id="brackets"),
        pytest.param("doma\\", ["quoted"], id="a backslash at the end"),
        pytest.param("' OR 1=1 --", [], id="quotes"),
        pytest.param("\U0001f600", [], id="a picture is in no message"),
        pytest.param("\U0001f600 farina", ["farina"], id="a picture beside a word"),
    ],
)
async def test_words(gateway: Gateway, said: None, q: str, names: list[str]) -> None:
    """Messages that hold every word of `q` are found, and no character of it is an operator."""
    assert await found(gateway, q) == names


@pytest.mark.parametrize("q", ["", "?!", " ", "*", "«»", '""', "-- '"])
async def test_nothing_to_search_for(gateway: Gateway, q: str) -> None:
    """A text without a word is refused."""
    assert_problem(await gateway.http.get("/messages", params={"q": q}), 422, "invalid_request")
    assert_problem(await gateway.http.get("/messages"), 422, "invalid_request")


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("limit", [1, 2, 3, 100])
async def test_pages(gateway: Gateway, order: str, limit: int) -> None:
    """Pages of any size hold every message once, by `(sent_at, id)`, however late a message came."""
    for number, seconds in enumerate([5, 0.25, 3, 0.75, 0.5, 0.5, 0.5, 8, 0.1, 7]):
        at = MONDAY + timedelta(seconds=seconds)
        await gateway.say(f"farina {number}", at=at, identity=f"+39333000000{number}")
    whole = await gateway.listed("/messages", q="farina", order=order, limit=100)
    keys = [(row["sent_at"], row["id"]) for row in whole]
    assert keys == sorted(keys, reverse=order == "desc")
    assert len(keys) == 10
    page = await gateway.get("/messages", q="farina", order=order, limit=limit)
    seen = page["data"]
    while page["has_more"]:
        page = await gateway.get("/messages", q="farina", order=order, limit=limit, after=page["last_id"])
        seen += page["data"]
    assert seen == whole
    for place in range(10):
        page = await gateway.get("/messages", q="farina", order=order, limit=limit, before=whole[place]["id"])
        assert (page["data"], page["has_more"]) == (whole[max(place - limit, 0) : place], place > limit)
        between = await gateway.get(
            "/messages", q="farina", order=order, after=whole[1]["id"], before=whole[place]["id"]
        )
        assert between["data"] == whole[2:place]


async def test_a_cursor_of_nobody(gateway: Gateway, said: None) -> None:
    """A cursor has to be a message."""
    answer = await gateway.http.get("/messages", params={"q": "farina", "after": "msg_nobody"})
    assert_problem(answer, 422, "invalid_cursor")
