"""Replaying under other windows: what is a reply, what it read, what a cut is, and what never makes a difference."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convo_service.domain.baseline import item_tokens
from convo_service.domain.digest import Said
from convo_service.domain.record import PREAMBLE
from convo_service.domain.seed import SeedRules
from convo_service.domain.simulated_seeds import EstimatedSeeds, NoSeeds, RealSeeds, Seeds, SeedSizes
from convo_service.domain.simulation import ENDLESS, Comparison, Line, Rules, Sample, Tally

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
DAYS_2 = Rules(timedelta(hours=48), 50, 0)
BOUNDLESS = Rules(timedelta.max, 10**9, 0)
INSTRUCTIONS = 100

# What is said is written as (hours since the start, "u" or "b" for user or bot, text); "/new" opens a conversation.
Script = Sequence[tuple[float, str, str]]
EIGHT = "12345678"  # two tokens, and four of the item


def line(number: int, hours: float, side: str, text: str) -> Line:
    """A line as it is stored."""
    command = side == "u" and text.startswith("/new")
    said = Said(
        f"msg_{number:04}",
        "inbound" if side == "u" else "outbound",
        text.removeprefix("/new").strip() if command else text,
        START + timedelta(hours=hours),
    )
    return Line(said, command)


def lines(script: Script) -> list[Line]:
    """A script, ready to be replayed."""
    return [line(number, *one) for number, one in enumerate(script)]


def no_seeds(_: Rules) -> Seeds:
    """Conversations start empty."""
    return NoSeeds()


def replay(script: Script, rules: Rules) -> Tally:
    """One user's talk under one combination."""
    comparison = Comparison([rules], INSTRUCTIONS)
    for talk in comparison.talks(no_seeds):
        for one in lines(script):
            talk.hear(one)
    return comparison.tallies[rules]


@pytest.mark.parametrize(
    ("script", "prompts"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param([(0, "u", EIGHT)], [], id="nobody answered"),
        pytest.param([(0, "u", EIGHT), (0, "b", EIGHT)], [106], id="one reply: instructions and message"),
        pytest.param([(0, "u", EIGHT), (0, "b", EIGHT), (0, "b", EIGHT)], [106], id="an answer in two messages is one"),
        pytest.param([(0, "u", EIGHT), (0, "u", EIGHT), (0, "b", EIGHT)], [112], id="a burst is answered once"),
        pytest.param(
            [(0, "u", EIGHT), (0, "b", EIGHT), (1, "u", EIGHT), (1, "b", EIGHT)],
            [106, 118],
            id="what was said goes along",
        ),
        pytest.param([(0, "b", EIGHT), (1, "b", EIGHT)], [], id="a campaign that nobody answers"),
        pytest.param([(0, "b", EIGHT), (1, "u", EIGHT), (1, "b", EIGHT)], [112], id="an answered campaign"),
        pytest.param(
            [(0, "u", EIGHT), (0, "b", EIGHT), (48, "u", EIGHT), (48, "b", EIGHT)], [106, 106], id="after the window"
        ),
        pytest.param([(0, "u", "/new"), (0, "b", EIGHT)], [], id="what answers a command is no model's"),
        pytest.param(
            [(0, "u", "/new"), (0, "b", EIGHT), (1, "u", EIGHT), (1, "b", EIGHT)], [106], id="and no model reads it"
        ),
        pytest.param([(0, "u", EIGHT), (1, "u", "/new"), (1, "b", EIGHT)], [], id="a command takes the question back"),
        pytest.param([(0, "u", f"/new {EIGHT}"), (0, "b", EIGHT)], [106], id="what follows a command is said"),
    ],
)
def test_what_a_reply_reads(script: Script, prompts: list[int]) -> None:
    """Instructions, what was said in the conversation, and the message."""
    tally = replay(script, DAYS_2)
    assert (tally.replies, tally.input_tokens) == (len(prompts), sum(prompts))
    assert sorted(tally.sizes.elements()) == sorted(prompts)


@pytest.mark.parametrize(
    ("script", "rules", "conversations", "cuts"),
    [
        pytest.param([(0, "u", "a"), (47.9, "u", "b")], DAYS_2, 1, 0, id="inside the window"),
        pytest.param([(0, "u", "a"), (48, "u", "b")], DAYS_2, 2, 0, id="two days are no cut"),
        pytest.param([(0, "u", "a"), (30, "b", "x"), (48, "u", "b")], DAYS_2, 2, 0, id="the bot keeps none alive"),
        pytest.param([(0, "u", "a"), (12, "u", "b")], Rules(timedelta(hours=12), 50, 0), 2, 1, id="a short window"),
        pytest.param(
            [(0, "u", "a"), (24, "u", "b")], Rules(timedelta(hours=12), 50, 0), 2, 0, id="exactly a day later"
        ),
        pytest.param([(0, "u", "a"), (0, "b", "x"), (1, "u", "b")], Rules(timedelta(days=2), 2, 0), 2, 1, id="the cap"),
        pytest.param(
            [(0, "u", "a"), (0, "b", "x"), (30, "u", "b")], Rules(timedelta(days=2), 2, 0), 2, 0, id="a day off"
        ),
        pytest.param([(0, "u", "a"), (1, "u", "/new")], DAYS_2, 2, 0, id="the user's own wish is no cut"),
        pytest.param([(0, "u", "/new")], DAYS_2, 1, 0, id="a command as the first message"),
    ],
)
def test_conversations_and_cuts(script: Script, rules: Rules, conversations: int, cuts: int) -> None:
    """A cut is a conversation that ended within a day of the user's last message, and not by the user."""
    tally = replay(script, rules)
    assert (tally.conversations, tally.cuts) == (conversations, cuts)


def test_a_rollover_at_the_cap_carries_the_last_messages() -> None:
    """Six messages go along, and are no part of the new conversation's count."""
    talk = [(0.1 * turn, side, EIGHT) for turn in range(5) for side in "ub"]
    tally = replay(talk, Rules(timedelta(hours=48), 8, 0))
    assert tally.conversations == 2
    assert tally.input_tokens == 4 * 106 + (0 + 2 + 4 + 6) * 6 + (106 + 6 * 6)


@pytest.mark.parametrize(
    ("minutes", "rules", "expected"),
    [
        pytest.param(60, DAYS_2, 1024, id="an hour later"),
        pytest.param(61, DAYS_2, 0, id="forgotten"),
        pytest.param(50, Rules(timedelta(minutes=45), 50, 0), 0, id="another conversation"),
    ],
)
def test_what_comes_from_the_cache(minutes: float, rules: Rules, expected: int) -> None:
    """The prompt before of the same conversation is the prefix; the endless one has the same rule."""
    long = "x" * 4 * 1000  # a prompt of 1,104 tokens
    script = [(0, "u", long), (0, "b", "x"), (minutes / 60, "u", EIGHT), (minutes / 60, "b", "x")]
    assert replay(script, rules).cached_tokens == expected


def test_only_what_is_asked_about_counts() -> None:
    """What was said before is in the prompts, and in no count."""
    comparison = Comparison([DAYS_2], INSTRUCTIONS)
    heard = lines([(0, "u", EIGHT), (0, "b", EIGHT), (1, "u", EIGHT), (1, "b", EIGHT)])
    for talk in comparison.talks(no_seeds):
        for number, one in enumerate(heard):
            talk.hear(Line(one.said, counted=number >= 2))
    tally = comparison.tallies[DAYS_2]
    assert (tally.conversations, tally.replies, tally.input_tokens) == (0, 1, 118)


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        pytest.param([], 0, id="none"),
        pytest.param([7], 7, id="one"),
        pytest.param(list(range(1, 101)), 95, id="a hundred"),
        pytest.param([12_341] * 20, 12_400, id="three digits, rounded up"),
    ],
)
def test_the_95th_percentile(sizes: list[int], expected: int) -> None:
    """By nearest rank."""
    tally = Tally()
    for size in sizes:
        tally.reply(size, 0)
    assert tally.percentile(0.95) == expected


def test_a_saving_needs_something_to_save() -> None:
    """Nothing at all has no percentage."""
    assert Tally().saving(Tally()) is None
    assert Tally(input_tokens=25).saving(Tally(input_tokens=100)) == 0.75


# ---- properties

texts = st.text("ab ", max_size=40)
scripts = st.lists(
    st.tuples(st.floats(0, 200), st.sampled_from("uuub"), texts | st.just("/new") | st.just("/new ciao")), max_size=30
).map(lambda script: sorted(script, key=lambda one: one[0]))
without_commands = scripts.map(lambda script: [one for one in script if not one[2].startswith("/new")])
any_rules = st.builds(
    Rules, st.sampled_from([1, 12, 24, 48]).map(lambda hours: timedelta(hours=hours)), st.integers(1, 10), st.just(300)
)


@given(without_commands)
def test_without_bounds_it_is_the_endless_conversation(script: Script) -> None:
    """A window and a cap that are never reached, and no seed, make no difference to one endless conversation."""
    assert replay(script, BOUNDLESS) == replay(script, ENDLESS)


@given(scripts, any_rules)
def test_every_combination_answers_the_same(script: Script, rules: Rules) -> None:
    """The replies are the same ones everywhere, and no more comes from the cache than was read."""
    windows, endless = replay(script, rules), replay(script, ENDLESS)
    assert windows.replies == endless.replies
    assert windows.conversations >= endless.conversations == min(len(script), 1)
    assert windows.cached_tokens <= windows.input_tokens


def played(people: dict[str, Script], rules: Rules, order: list[str], exact: int) -> Comparison:
    """Everybody in some order, with the seeds of a sample really made."""
    comparison, sizes, sample = Comparison([rules], INSTRUCTIONS), SeedSizes(), Sample(exact)
    for user in order:
        sample.offer(user, len(people[user]))

    def real(one: Rules) -> Seeds:
        return RealSeeds(SeedRules(one.seed_tokens), None, sizes, most=1000) if one.seed_tokens else NoSeeds()

    def estimated(one: Rules) -> Seeds:
        return EstimatedSeeds(sizes) if one.seed_tokens else NoSeeds()

    first = [user for user in order if user in sample.users]
    for user in [*first, *(user for user in order if user not in sample.users)]:
        for talk in comparison.talks(real if user in first else estimated):
            for one in lines(people[user]):
                talk.hear(one)
    return comparison


@given(st.dictionaries(st.text("abc", min_size=1), scripts, min_size=1, max_size=6), any_rules, st.integers(1, 60))
def test_the_order_of_users_makes_no_difference(people: dict[str, Script], rules: Rules, exact: int) -> None:
    """Neither who is sampled, nor what is learned from them, nor the sums depend on who is read first."""
    shuffled = list(people)
    Random(1).shuffle(shuffled)  # noqa: S311 - an order, no secret
    one, two = (played(people, rules, order, exact) for order in (sorted(people), shuffled))
    assert one.tallies == two.tallies


# ---- seeds


def test_real_seeds_are_those_of_the_service() -> None:
    """The next conversation begins with the preamble and the record, within the budget; each carries the one before."""
    sizes = SeedSizes()
    seeds = RealSeeds(SeedRules(60), None, sizes, most=1000)
    seeds.hear(line(0, 0, "u", "Vorrei 25 sacchi di farina Manitoba per venerdì").said)
    cost = seeds.next(START)
    assert item_tokens(PREAMBLE) + 10 < cost <= item_tokens(PREAMBLE) + 60 + 4
    assert seeds.next(START) > item_tokens(PREAMBLE)
    assert sizes.estimate(12) == cost


def test_estimates_come_from_what_was_learned() -> None:
    """The mean of those made from about as much; of the next larger, else of the largest; 0 when nothing is known."""
    sizes = SeedSizes()
    assert sizes.estimate(100) == 0
    for material, cost in ((100, 10), (101, 13), (1000, 300)):
        sizes.learn(material, cost)
    assert [sizes.estimate(material) for material in (1, 100, 500, 5000)] == [12, 12, 300, 300]
    seeds = EstimatedSeeds(sizes)
    seeds.hear(line(0, 0, "u", "x" * 400).said)
    assert seeds.next(START) == 12


@given(st.dictionaries(st.text(min_size=1), st.integers(1, 100), min_size=1), st.integers(1, 500))
def test_a_sample_is_as_small_as_it_can_be(messages: dict[str, int], limit: int) -> None:
    """It reaches its limit when all together do, and not without its last one."""
    sample, heads = Sample(limit), Sample(limit, by_head=True)
    for user, count in messages.items():
        sample.offer(user, count)
        heads.offer(user, count)
    assert sum(sample.users.values()) >= min(limit, sum(messages.values()))
    assert len(heads.users) == min(limit, len(messages))
    assert sample.users.items() <= messages.items()
