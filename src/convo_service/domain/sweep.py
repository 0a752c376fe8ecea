"""What the sweep does with a conversation when it looks at it: close it, have it summarised, or come back later."""

from dataclasses import dataclass
from datetime import datetime, timedelta

FRESH = timedelta(days=7)  # who was silent for longer hardly comes back: a summary would be paid for nobody
NEAR = 10  # messages before the cap at which the summary is prepared; fewer for a small cap


@dataclass(frozen=True, slots=True)
class State:
    """A conversation as the sweep sees it. Its times are the later of event time and wall clock.

    An old history that is fed in is therefore not cut by the wall clock.
    """

    is_active: bool
    is_newest: bool  # nothing was opened after it
    endless: bool  # the holdout has no windows
    ends_at: datetime  # when the window is over
    active_at: datetime  # when either side said something last
    message_count: int
    read_count: int  # messages it had when a model last read it


@dataclass(frozen=True, slots=True)
class SweepRules:
    """The settings of the sweep."""

    cap: int
    idle_summary_after: timedelta


@dataclass(frozen=True, slots=True)
class Step:
    """What to do now, and when to look again; None: never."""

    close: bool = False
    summarise: bool = False
    look_again_at: datetime | None = None


def near_cap(cap: int) -> int:
    """From how many messages on the rollover at the cap is near."""
    return max(cap - min(NEAR, max(cap // 5, 1)), 1)


def first_look(rules: SweepRules, window: timedelta, now: datetime) -> datetime:
    """When to look at a conversation that was just opened: when it is quiet, or over before that."""
    return now + min(rules.idle_summary_after, window)


def sooner(
    sweep_at: datetime | None, message_count: int, rules: SweepRules, window: timedelta, now: datetime
) -> datetime:
    """When to look at a conversation in which something was just said: an hour later, or at once near the cap."""
    if message_count == near_cap(rules.cap):
        return now
    quiet_at = first_look(rules, window, now)
    return quiet_at if sweep_at is None or sweep_at > quiet_at else sweep_at


def plan(state: State, rules: SweepRules, now: datetime) -> Step:
    """Judge one conversation; an active one is always looked at again."""
    is_over = not state.endless and now >= state.ends_at
    summarise = _wants_summary(state, rules, now)
    if not state.is_active or is_over:
        return Step(close=state.is_active, summarise=summarise)
    quiet_at = state.active_at + rules.idle_summary_after
    ends_at = now + FRESH if state.endless else state.ends_at
    return Step(summarise=summarise, look_again_at=min(quiet_at, ends_at) if quiet_at > now else ends_at)


def _wants_summary(state: State, rules: SweepRules, now: datetime) -> bool:
    has_news = state.message_count > state.read_count
    if state.endless or not has_news or not state.is_newest or now - state.active_at >= FRESH:
        return False
    is_quiet = now >= state.active_at + rules.idle_summary_after
    nears_cap = state.message_count >= near_cap(rules.cap) > state.read_count
    return is_quiet or nears_cap or not state.is_active
