"""Full-text search of messages, newest first, whether a word is rare or frequent: what each database needs for that."""

import re
import sys
import unicodedata
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from convo_service.db.models import Message
from convo_service.services.paging import Listing, Page, Place, Stretch, stretch

# SQLite: a number holds the second of a message above its place in it, see the revision that makes the table.
PLACE_BITS = 25
END = (1 << 63) - 1
_found = sa.table("message_search", sa.column("rowid", sa.BigInteger), sa.column("message_search", sa.Text))
# Each step seeks the first term behind the last: going through a term's own entries would take as long as there are.
TERMS = sa.text("""
    WITH RECURSIVE terms (term) AS (
        SELECT (SELECT term FROM message_search_terms WHERE term >= :beginning LIMIT 1)
        UNION ALL
        SELECT (SELECT term FROM message_search_terms WHERE term >= terms.term || char(1) LIMIT 1)
        FROM terms WHERE terms.term < :end LIMIT :most
    )
    SELECT term FROM terms WHERE term < :end
""")
MOST_TERMS = 50  # a beginning of more words than these is taken for a whole word
WHOLE = 500  # so is what stands in more messages than these as it is
_LAST_WORD = re.compile(r"([^\W_]+)[\W_]*$")
_number = sa.literal_column("messages.message_search_number", sa.BigInteger)

# PostgreSQL: words that stand in so many messages, by its statistics, are looked for among so many newest ones first.
FREQUENT = 5000
NEWEST = 10_000
# As the column is made: without accents, and with punctuation that PostgreSQL may take for letters as blanks.
PLAIN = str.maketrans(
    "ÀÁÈÉÌÍÒÓÙÚàáèéìíòóùú\u00ab\u00bb\u201c\u201d\u201e\u2018\u2019\u2013\u2014\u2026", "AAEEIIOOUUaaeeiioouu          "
)
ITALIAN: sa.ColumnElement[str] = sa.literal_column("'italian'")
ESTIMATE = sa.text(
    "EXPLAIN (FORMAT JSON) SELECT 1 FROM messages WHERE message_search_words @@ to_tsquery('italian', :wanted)"
)
_words: sa.ColumnElement[Any] = sa.literal_column("messages.message_search_words").label("message_search_words")


async def messages(tx: AsyncSession, q: str, page: Page) -> Listing[Message]:
    """Messages by `(sent_at, id)` that hold every word of `q`, of which the last may be the beginning of one.

    Raises InvalidCursor.
    """
    place = await stretch(tx, page, Message.sent_at, Message.id)
    if tx.get_bind().dialect.name == "sqlite":
        return place.listing((await tx.scalars(_by_number(place, await _fts5(tx, q)))).all())
    return await _on_postgres(tx, place, _tsquery(q))


async def _fts5(tx: AsyncSession, q: str) -> str:
    """Each word as a quoted string, in which nothing is syntax; for the last one all words that begin so.

    FTS5's own way with beginnings reads every message that has such a word before it gives the first.
    """
    *whole, last = _words_of(q)
    ends = [last] if await _is_frequent(tx, last) else await _ends(tx, last)
    return " AND ".join([*map(_string, whole), "(" + " OR ".join(map(_string, ends)) + ")"])


async def _is_frequent(tx: AsyncSession, word: str) -> bool:
    found = sa.select(_found.c.rowid).where(_found.c.message_search.match(_string(word)))
    return await tx.scalar(found.limit(1).offset(WHOLE)) is not None


async def _ends(tx: AsyncSession, last: str) -> Sequence[str]:
    """The words that begin so, without accents; the word itself, if there are none or very many."""
    bare = "".join(char for char in unicodedata.normalize("NFD", last.lower()) if not unicodedata.combining(char))
    begun = _LAST_WORD.search(bare)
    if begun is None:
        return [last]
    wanted = {"beginning": begun.group(1), "end": begun.group(1) + chr(sys.maxunicode), "most": MOST_TERMS}
    terms = (await tx.scalars(TERMS, wanted)).all()
    return [bare[: begun.start()] + term for term in terms] if 0 < len(terms) < MOST_TERMS else [last]


def _string(word: str) -> str:
    return '"' + word.replace('"', '""') + '"'


def _words_of(q: str) -> list[str]:
    words = q.split()
    return [word for word in words if any(map(str.isalnum, word))] or words


def _by_number(place: Stretch, wanted: str) -> sa.Select[Message]:
    """Go by number, which orders by the second, as far as the page needs; then put whole seconds in order."""
    matches = _found.c.message_search.match(wanted)
    edge = sa.select(_found.c.rowid).where(matches, *_whole_seconds(place)).limit(1).offset(place.page.limit)
    number = _found.c.rowid
    if place.page.rising:
        last = edge.order_by(number).scalar_subquery()
        enough = number < sa.func.coalesce(_begin(last) + (1 << PLACE_BITS), END)
    else:
        last = edge.order_by(number.desc()).scalar_subquery()
        enough = number >= sa.func.coalesce(_begin(last), 0)
    found = sa.select(Message).join(_found, _number == number).where(matches, enough, *_near(place))
    return place.of(found)


def _begin(number: sa.ScalarSelect[int]) -> sa.ColumnElement[int]:
    return number.op(">>")(PLACE_BITS).op("<<")(PLACE_BITS)


def _near(place: Stretch) -> list[sa.ColumnElement[bool]]:
    """The seconds of both ends and what is between them."""
    ends = []
    if place.low is not None:
        ends.append(_found.c.rowid >= _first(place.low))
    if place.high is not None:
        ends.append(_found.c.rowid < _first(place.high, 1))
    return ends


def _whole_seconds(place: Stretch) -> list[sa.ColumnElement[bool]]:
    """The same without the second in which the page begins: its rows may stand before the page."""
    ends = _near(place)
    if place.page.rising and place.low is not None:
        ends.append(_found.c.rowid >= _first(place.low, 1))
    if not place.page.rising and place.high is not None:
        ends.append(_found.c.rowid < _first(place.high))
    return ends


def _first(place: Place, later: int = 0) -> int:
    """The first number of a place's second, or of one a little later."""
    return (int(place.key.timestamp()) + later) << PLACE_BITS


def _tsquery(q: str) -> str:
    """Each word as a quoted string, in which nothing is syntax."""
    words = [word.replace("\\", "\\\\").replace("'", "''") for word in _words_of(q.translate(PLAIN))]
    return " & ".join(f"'{word}'" for word in words) + ":*"


async def _on_postgres(tx: AsyncSession, place: Stretch, wanted: str) -> Listing[Message]:
    """Frequent words among the newest messages, if the page is full with these; rare ones by their index, all."""
    if await _estimate(tx, wanted) > FREQUENT:
        found = place.listing((await tx.scalars(_among_newest(place, wanted))).all())
        if found.has_more:
            return found
    return place.listing((await tx.scalars(_by_index(place, wanted))).all())


async def _estimate(tx: AsyncSession, wanted: str) -> int:
    plan: Any = await tx.scalar(ESTIMATE, {"wanted": wanted})
    rows: int = plan[0]["Plan"]["Plan Rows"]
    return rows


def _matches(words: sa.ColumnElement[Any], wanted: str) -> sa.ColumnElement[bool]:
    return words.bool_op("@@")(sa.func.to_tsquery(ITALIAN, wanted))


def _among_newest(place: Stretch, wanted: str) -> sa.Select[Message]:
    rows = sa.select(Message, _words).where(*place.conditions).order_by(*place.ordering).limit(NEWEST).subquery()
    newest = sa.orm.aliased(Message, rows)
    found = sa.select(newest).where(_matches(rows.c.message_search_words, wanted))
    return found.order_by(*place.ordered(newest.sent_at, newest.id)).limit(place.page.limit + 1)


def _by_index(place: Stretch, wanted: str) -> sa.Select[Message]:
    """Materialised: the planner would go through all messages by time until it has met enough of a rare word."""
    keys = sa.select(Message.user_id, Message.id, Message.sent_at)
    found = keys.where(_matches(_words, wanted), *place.conditions).cte("found").prefix_with("MATERIALIZED")
    ordered = sa.select(found).order_by(*place.ordered(found.c.sent_at, found.c.id)).limit(place.page.limit + 1)
    one = ordered.subquery()
    joined = sa.select(Message).join(one, sa.and_(Message.user_id == one.c.user_id, Message.id == one.c.id))
    return joined.order_by(*place.ordering)
