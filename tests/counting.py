"""Analytics counted once more, by hand: over all rows in plain Python, with nothing of the service's own counting."""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from convo_service.db.engine import Database
from convo_service.db.models import Base, Conversation, Message, ModelCall, Turn, User

Row = dict[str, Any]
Event = tuple[datetime, Row]


@dataclass
class Rows:
    """Everything that is stored."""

    users: list[Row]
    messages: list[Row]
    conversations: list[Row]
    calls: list[Row]
    turns: list[Row]


async def everything(database: Database) -> Rows:
    """Read all rows, each with topic, template and cohort."""

    async def of(table: type[Base]) -> list[Row]:
        async with database.read.begin() as tx:
            return [dict(row) for row in (await tx.execute(sa.select(table.__table__))).mappings()]

    found = Rows(await of(User), await of(Message), await of(Conversation), await of(ModelCall), await of(Turn))
    cohorts = {row["id"]: row["cohort"] for row in found.users}
    homes = {row["id"]: row for row in found.conversations}
    said = {row["id"]: row for row in found.messages}
    for row in found.messages:
        home = homes.get(row["conversation_id"])
        row |= {"template": home and home["template"], "cohort": cohorts[row["user_id"]]}
    for row in found.calls:
        row["topic"] = homes[row["conversation_id"]]["topic"]
    for row in found.turns:
        row |= {name: said[row["message_id"]][name] for name in ("topic", "template", "cohort")}
    return found


@dataclass
class ByHand:
    """Counts of the hours that begin in a period."""

    rows: Rows
    begin: datetime
    end: datetime
    zone: ZoneInfo
    topic: str | None = None
    template: str | None = None
    cohort: str | None = None

    def _mine(self, rows: list[Row], time: str) -> Iterator[Event]:
        for row in rows:
            filters = {"topic": self.topic, "template": self.template, "cohort": self.cohort}
            at = row[time]
            if at is None or any(want is not None and row[name] != want for name, want in filters.items()):
                continue
            hour = datetime(at.year, at.month, at.day, at.hour, tzinfo=UTC)
            if self.begin <= hour < self.end:
                yield hour, row

    def messages(self) -> list[Event]:
        """What was said."""
        return list(self._mine(self.rows.messages, "sent_at"))

    def created(self) -> list[Event]:
        """What began."""
        return list(self._mine(self.rows.conversations, "created_at"))

    def closed(self) -> list[Event]:
        """What ended."""
        return list(self._mine(self.rows.conversations, "closed_at"))

    def calls(self) -> list[Event]:
        """The ledger."""
        return list(self._mine(self.rows.calls, "called_at"))

    def failed(self) -> list[Event]:
        """Turns that failed."""
        return [(at, row) for at, row in self._mine(self.rows.turns, "created_at") if row["status"] == "failed"]

    def pauses(self) -> list[tuple[datetime, int]]:
        """Seconds before each conversation that follows another."""
        last = {row["id"]: row["last_inbound_at"] for row in self.rows.conversations}
        return [
            (at, max(int((row["created_at"] - last[row["parent_conversation_id"]]).total_seconds()), 0))
            for at, row in self.created()
            if row["parent_conversation_id"]
        ]

    def people(self, first: date, last: date) -> Counter[str]:
        """Who wrote from one day to another."""
        cohorts = {row["id"]: row["cohort"] for row in self.rows.users}
        days = defaultdict(set)
        for row in self.rows.messages:
            if row["direction"] == "inbound" and self.cohort in (None, cohorts[row["user_id"]]):
                days[row["user_id"]].add(row["sent_at"].astimezone(self.zone).date())
        there = [own for own in days.values() if any(first <= day <= last for day in own)]
        new = sum(min(own) >= first for own in there)
        return Counter(active=len(there), new=new, returning=len(there) - new)

    def overview(self) -> Row:
        """The parts of the answer that have to be the same to the last digit."""
        said, days = self.messages(), (self.begin, self.end - timedelta(microseconds=1))
        first, last = (at.astimezone(self.zone).date() for at in days)
        week = [[0] * 24 for _ in range(7)]
        for at, row in said:
            local = at.astimezone(self.zone)
            week[local.weekday()][local.hour] += row["direction"] == "inbound"
        people = self.people(first, last)
        lengths = [row["message_count"] for _, row in self.closed()]
        return {
            "inbound": sum(row["direction"] == "inbound" for _, row in said),
            "outbound": sum(row["direction"] == "outbound" for _, row in said),
            "week": week,
            "created": Counter(row["created_reason"] for _, row in self.created()),
            "closed": Counter(row["closed_reason"] for _, row in self.closed()),
            "topics": self._groups("topic"),
            "templates": self._groups("template"),
            "length": (len(lengths), mean(lengths), *(rank(lengths, share) for share in (0.5, 0.9, 0.95))),
            "pause": (len(self.pauses()), mean([pause for _, pause in self.pauses()])),
            "latency": self._measured("latency_ms"),
            "first_token": self._measured("first_token_ms"),
            "failed": Counter(row["error_code"] for _, row in self.failed()),
            "people": None if self.topic or self.template else (*people.values(),),
            "spent": self._spent(),
        }

    def _groups(self, name: str) -> dict[str, tuple[int, int]]:
        opened = Counter(row[name] or "" for _, row in self.created())
        said = Counter(row[name] or "" for _, row in self.messages())
        return {one: (opened[one], said[one]) for one in opened | said}

    def _measured(self, column: str) -> tuple[int, float | None]:
        values = [row[column] for _, row in self.calls() if row["kind"] == "reply" and row[column] is not None]
        return len(values), mean(values)

    def _spent(self) -> Row:
        calls = [row for _, row in self.calls()]
        replies = [row for row in calls if row["kind"] in ("reply", "reported")]
        summaries = [row for row in calls if row["kind"] == "summary"]
        compared = [row for row in replies if row["baseline_input_tokens"] is not None]
        priced = [row for row in replies if row["baseline_cost_usd"] is not None]
        return {
            "replies": len(replies),
            "input_tokens": total(replies, "input_tokens"),
            "cached_input_tokens": total(replies, "cached_input_tokens"),
            "output_tokens": total(replies, "output_tokens"),
            "cost_usd": money(replies, "cost_usd"),
            "summaries": len(summaries),
            "summary_input_tokens": total(summaries, "input_tokens"),
            "summary_cost_usd": money(summaries, "cost_usd"),
            "compared_input_tokens": total(compared, "input_tokens"),
            "baseline_input_tokens": total(compared, "baseline_input_tokens"),
            "compared_cost_usd": money(priced, "cost_usd"),
            "baseline_cost_usd": money(priced, "baseline_cost_usd"),
        }

    def over_time(self, metric: str, interval: str) -> dict[str, dict[str, float | None]]:
        """Values by the label of the step, for every step that has an hour."""
        label = LABELS[interval]
        hours = [self.begin + timedelta(hours=n) for n in range((self.end - self.begin) // timedelta(hours=1))]
        days: dict[str, list[date]] = {}
        for local in (hour.astimezone(self.zone) for hour in hours):
            days.setdefault(label(local), []).append(local.date())
        labels = list(days)
        if metric == "active_users":
            return {one: dict(self.people(min(own), max(own))) for one, own in days.items()}
        found: dict[str, Counter[str]] = {one: Counter() for one in labels}
        for at, name, number in self._counted(metric):
            found[label(at.astimezone(self.zone))][name] += number
        names = {name for counts in found.values() for name in counts} | FIXED.get(metric, set())
        return {one: {name: counts[name] for name in names} for one, counts in found.items()}

    def _counted(self, metric: str) -> Iterator[tuple[datetime, str, int]]:
        if metric in NAMES:
            events, column = NAMES[metric]
            yield from ((at, row[column], 1) for at, row in events(self))
            return
        for at, row in self.calls():
            for name, column in self._tokens(metric, row).items():
                yield at, name, row[column]

    def _tokens(self, metric: str, row: Row) -> dict[str, str]:
        if metric == "tokens" and row["kind"] == "summary":
            return {"summaries_input": "input_tokens", "summaries_output": "output_tokens"}
        if metric == "tokens":
            return {"input": "input_tokens", "cached_input": "cached_input_tokens", "output": "output_tokens"}
        has_baseline = row["baseline_input_tokens"] is not None
        return {"used": "input_tokens", "baseline": "baseline_input_tokens"} if has_baseline else {}


NAMES: dict[str, tuple[Callable[[ByHand], list[Event]], str]] = {
    "messages": (ByHand.messages, "direction"),
    "conversations_created": (ByHand.created, "created_reason"),
    "conversations_closed": (ByHand.closed, "closed_reason"),
    "failures": (ByHand.failed, "error_code"),
}
LENGTHS = (35, 40, 45, 50, 52, 55, 60, 75, 100, 150, 200, 300, 500, 1000, 2000, 5000)
FIXED = {
    "messages": {"inbound", "outbound"},
    "tokens": {"input", "cached_input", "output", "summaries_input", "summaries_output"},
    "tokens_against_baseline": {"used", "baseline"},
}
LABELS: dict[str, Callable[[datetime], str]] = {
    "hour": lambda at: at.isoformat(timespec="minutes"),
    "day": lambda at: f"{at:%Y-%m-%d}",
    "week": lambda at: f"{at - timedelta(days=at.weekday()):%Y-%m-%d}",
    "month": lambda at: f"{at:%Y-%m}",
}


def mean(values: list[int]) -> float | None:
    """Of nothing there is none."""
    return sum(values) / len(values) if values else None


def rank(values: list[int], share: float) -> int | None:
    """By nearest rank; above 30 the service knows the bounds of its buckets alone."""
    if not values:
        return None
    found = sorted(values)[math.ceil(share * len(values)) - 1]
    return found if found <= 30 else next(bound for bound in LENGTHS if bound >= found)


def total(rows: list[Row], column: str) -> int:
    """A sum; what nobody said counts as nothing."""
    return sum(row[column] or 0 for row in rows)


def money(rows: list[Row], column: str) -> float:
    """A sum in billionths of a dollar."""
    return sum(round((row[column] or 0) * 1e9) for row in rows) / 1e9


def answered(body: Row) -> Row:
    """The same parts of an answer of the service."""
    talk, replies, users = body["conversations"], body["replies"], body["users"]
    length = talk["length"]
    found = {
        "inbound": body["messages"]["inbound"],
        "outbound": body["messages"]["outbound"],
        "week": body["messages"]["inbound_by_week_hour"],
        "created": named(talk["created_by_reason"]),
        "closed": named(talk["closed_by_reason"]),
        "topics": {one["name"]: (one["conversations"], one["messages"]) for one in talk["by_topic"]},
        "templates": {one["name"]: (one["conversations"], one["messages"]) for one in talk["by_template"]},
        "length": (length["count"], length["mean"], length["p50"], length["p90"], length["p95"]),
        "pause": (talk["pause"]["count"], talk["pause"]["mean"]),
        "latency": (replies["latency"]["count"], replies["latency"]["mean"]),
        "first_token": (replies["first_token"]["count"], replies["first_token"]["mean"]),
        "failed": named(replies["failed_by_code"]),
        "people": users and (users["active"], users["new"], users["returning"]),
    }
    unsaid = {"saving", "cost_saving", "unanswered", "unanswered_cost_usd", "summary_output_tokens"}
    return {**found, "spent": {name: value for name, value in body["spent"].items() if name not in unsaid}}


def named(counts: list[Row]) -> Counter[str]:
    """Counts by name."""
    return Counter({one["name"]: one["count"] for one in counts})
