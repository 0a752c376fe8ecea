"""What the dashboard's templates print: rows made into names, lines, bubbles and boundaries."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any, Literal

from convo_service.dashboard.pages import Manner
from convo_service.db.models import Message, ModelCall, Note
from convo_service.domain.savings import saving
from convo_service.domain.text import cut
from convo_service.services.glances import Glance
from convo_service.services.paging import Listing
from convo_service.services.pauses import is_paused
from convo_service.services.savings import Used
from convo_service.services.threads import Thread, Window
from convo_service.services.users import UserView

LAST_CHARS = 90
TITLE_CHARS = 60


@dataclass(frozen=True, slots=True)
class Person:
    """One line of the list of customers."""

    id: str
    name: str
    company: str | None
    at: datetime
    last: str
    by_bot: bool
    issues: int
    is_active: bool
    is_holdout: bool
    is_paused: bool


@dataclass(frozen=True, slots=True)
class People:
    """A page of the list; `state` changes whenever anything in it does."""

    rows: Sequence[Person]
    q: str
    more: str | None
    state: str


def people(found: Listing[UserView], glances: Sequence[Glance], q: str, manner: Manner) -> People:
    """The list of customers."""
    rows = [_person(one, manner) for one in glances]
    more = rows[-1].id if found.has_more else None
    return People(rows, q, more, blake2b(repr(rows).encode(), digest_size=8).hexdigest())


def _person(one: Glance, manner: Manner) -> Person:
    user = one.view.user
    name = name_of(one.view, manner)
    return Person(
        id=user.id,
        name=name,
        company=one.company if one.company != name else None,
        at=user.last_seen_at if one.last is None else one.last.sent_at,
        last=_last(one.last, manner),
        by_bot=one.last is not None and one.last.direction == "outbound",
        issues=one.open_issues,
        is_active=bool(one.view.active_conversations),
        is_holdout=user.cohort == "holdout",
        is_paused=is_paused(user, manner.now),
    )


def _last(said: Message | None, manner: Manner) -> str:
    if said is None:
        return ""
    return manner.text("revoked") if said.revoked_at else cut(" ".join(said.text.split()), LAST_CHARS)


def name_of(view: UserView, manner: Manner) -> str:
    """The name, else the first identity."""
    return view.display_name or next(iter(view.identities), manner.text("nobody"))


@dataclass(frozen=True, slots=True)
class Who:
    """The head of a customer's pages."""

    id: str
    name: str
    line: str


def who(glance: Glance, manner: Manner, email: str | None) -> Who:
    """Name, company and identities of a customer."""
    name = name_of(glance.view, manner)
    parts = [glance.company, *glance.view.identities[:2], email]
    return Who(glance.view.user.id, name, " · ".join(part for part in parts if part and part != name))


@dataclass(frozen=True, slots=True)
class Day:
    """A line between two days."""

    at: datetime
    kind: Literal["day"] = "day"


@dataclass(frozen=True, slots=True)
class Boundary:
    """A line between two windows; `continued` when the window began further up, or another one came between."""

    window: Window
    why: str
    continued: bool
    kind: Literal["boundary"] = "boundary"


@dataclass(frozen=True, slots=True)
class Bubble:
    """One message."""

    row: Message
    call: ModelCall | None
    is_sought: bool
    kind: Literal["bubble"] = "bubble"


Block = Day | Boundary | Bubble


def blocks(
    thread: Thread, manner: Manner, *, after: Message | None = None, sought: str | None = None
) -> Iterator[Block]:
    """A thread as it is shown. `after` is the message that stands above it already."""
    last_day = after.sent_at.astimezone(manner.zone).date() if after else None
    current = after.conversation_id if after else None
    seen = {current}
    for row in thread.messages:
        day = row.sent_at.astimezone(manner.zone).date()
        if day != last_day:
            yield Day(row.sent_at)
        last_day = day
        window = thread.windows.get(row.conversation_id or "")
        if window is not None and window.row.id != current:
            yield Boundary(window, why(window, manner), _is_continued(thread, row, window, seen))
            current = window.row.id
            seen.add(current)
        yield Bubble(row, thread.calls.get(row.id), row.id == sought)


def _is_continued(thread: Thread, row: Message, window: Window, seen: set[str | None]) -> bool:
    """At the upper edge of a page nobody knows what is above, but for a window that begins with its first message."""
    if window.row.id in seen:
        return True
    is_edge = thread.has_earlier and row is thread.messages[0]
    return is_edge and row.sent_at > window.row.created_at


def why(window: Window, manner: Manner) -> str:
    """The reason for which a window was opened, in words."""
    row, parent = window.row, window.parent
    if row.created_reason == "idle_timeout" and parent is not None and window.idle is not None:
        idle, length = manner.duration(window.idle), manner.duration(parent.timeout)
        return manner.text("why_idle_timeout", idle=idle, window=length)
    if row.created_reason == "message_cap" and parent is not None:
        return manner.text("why_message_cap", count=manner.number(parent.message_count))
    if row.created_reason in ("idle_timeout", "message_cap"):
        return manner.text("why_first_contact")
    return manner.text(f"why_{row.created_reason}")


@dataclass(frozen=True, slots=True)
class WindowLine:
    """One window of the chain."""

    row: Any
    use: Any
    why: str


def window_lines(windows: Sequence[Window], manner: Manner) -> list[WindowLine]:
    """The chain of windows."""
    return [WindowLine(one.row, one.use, why(one, manner)) for one in windows]


@dataclass(frozen=True, slots=True)
class Issue:
    """An open issue and whose it is."""

    note: Note
    name: str
    company: str | None


@dataclass(frozen=True, slots=True)
class Group:
    """One row of a table that a chart is drawn from."""

    name: str
    x: str
    used: Used

    @property
    def saving(self) -> float | None:
        """The share of input tokens saved."""
        return saving(self.used.compared_input_tokens, self.used.baseline_input_tokens)


@dataclass(frozen=True, slots=True)
class Figure:
    """A key figure."""

    label: str
    value: str
    hint: str
    tone: Literal["", "good", "warn"] = ""
