"""What a round consists of; each scenario has a world of its own and says what it reached and what it broke."""

import asyncio
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime, timedelta

from tests.chaos.crashes import POINTS, RESERVED, SIZE, Crashes, fill_reserve, rolled_over_once
from tests.chaos.gateway import Gateway
from tests.chaos.invariants import Case, violations
from tests.chaos.scenario import Outcome, Scenario, case_of, few, in_a_world
from tests.chaos.sleeping import Sleeper
from tests.chaos.storm import Storm, Weather
from tests.chaos.world import WORKING, World

TIMES = 10
BURST = 5
ONE_OF_EACH = "one message, one conversation, one answer"


def random_kills(weather: Weather) -> Scenario:
    """Kills at random moments under load."""

    async def play(world: World) -> Outcome:
        result = await Storm(world, weather).run()
        idle = [] if result.acks > weather.kills else ["too little happened between the kills to show anything"]
        return Outcome(str(result), [*result.violations, *idle])

    promise = "never two active, nothing acknowledged lost, nothing stuck, orphans empty and few"
    return Scenario(f"kill -9 at random, {weather.kills} times", promise, in_a_world(play, WORKING))


def crash_points() -> Scenario:
    """Every crash point, and a replica that sleeps through its lease."""

    async def play(world: World) -> Outcome:
        gateway = Gateway(world.http, world.replicas)
        crashes = Crashes(world, gateway)
        with closing(Sleeper(world, gateway)) as sleeper:
            await sleeper.fall_asleep()
            await crashes.everywhere()
            await sleeper.wake_up_late()
        await crashes.repeat()
        case = await case_of(world, gateway)
        wrong = rolled_over_once(case.evidence, crashes.cuts)
        return Outcome(f"{len(POINTS) - len(wrong)} of {len(POINTS)} points", [*violations(case), *wrong])

    return Scenario(
        "kill -9 at each crash point", "one rollover, and the answer of the repeat stands", in_a_world(play)
    )


def crash_points_with_a_reserve() -> Scenario:
    """The same where openings take an id of the reserve, and while it is filled."""

    async def play(world: World) -> Outcome:
        gateway = Gateway(world.http, world.replicas)
        await fill_reserve(world, dying=True)
        crashes = Crashes(world, gateway)
        await crashes.everywhere(RESERVED)
        await crashes.repeat()
        case = await case_of(world, gateway)
        wrong = rolled_over_once(case.evidence, crashes.cuts)
        return Outcome(f"{len(RESERVED) - len(wrong)} of {len(RESERVED)} points", [*violations(case), *wrong])

    knobs = {SIZE: "40", "SWEEP_INTERVAL_SECONDS": "0.2"}
    return Scenario(
        "kill -9 at each crash point, with a reserve", "one rollover, no id in two places", in_a_world(play, knobs)
    )


def same_id(ids: int) -> Scenario:
    """The same webhook many times at once on two replicas."""

    async def play(world: World) -> Outcome:
        gateway = Gateway(world.http, world.replicas)
        people = [f"+39335{number:07}" for number in range(ids)]
        for some in few(people, 2):
            says = [gateway.say(who, "Buongiorno", id_=f"wamid.{who}", first=n) for who in some for n in range(TIMES)]
            await asyncio.gather(*says)
        case = await case_of(world, gateway)
        had = (len(gateway.ledger.acks), len(case.evidence.messages), len(case.evidence.conversations))
        wrong = [] if had == (ids * TIMES, ids, ids) else [f"answers, messages, conversations: {had}"]
        return Outcome(f"{had[0]} answers, {had[1]} messages, {had[2]} conversations", [*violations(case), *wrong])

    return Scenario(f"the same id {TIMES} times at once, {ids} ids", ONE_OF_EACH, in_a_world(play))


def burst(users: int) -> Scenario:
    """Several messages at once after the window has ended."""

    async def play(world: World) -> Outcome:
        gateway = Gateway(world.http, world.replicas)
        people = [f"+39336{number:07}" for number in range(users)]
        long_ago = (datetime.now(UTC) - timedelta(days=30)).isoformat()
        for some in few(people, 4):
            await asyncio.gather(*(gateway.say(who, "Avete la farina?", sent_at=long_ago) for who in some))
            await asyncio.gather(*(gateway.say(who, f"Messaggio {n}", first=n) for who in some for n in range(BURST)))
        stale = {ack.identity for ack in gateway.ledger.acks if ack.degraded}  # OpenAI was too slow on this machine
        await asyncio.gather(*(gateway.settle(who, "E la consegna?") for who in stale))
        case = await case_of(world, gateway)
        judged = [who for who in people if who not in stale]
        wrong = [sentence for who in judged for sentence in _burst_of(case, who)]
        figure = f"{len(judged) - len(wrong)} of {users} with one rollover, {len(stale)} not judged"
        return Outcome(figure, [*violations(case), *wrong])

    fault = f"a burst of {BURST} after expiry, {users} times"
    run = in_a_world(play, {"MAX_CONVERSATION_MESSAGES": "50"})
    return Scenario(fault, f"one rollover, {BURST} times the same id", run)


def _burst_of(case: Case, who: str) -> list[str]:
    user = case.evidence.users[who]
    reasons = Counter(row.created_reason for row in case.evidence.conversations.values() if row.user_id == user)
    answers = Counter(ack.conversation_id for ack in case.ledger.acks if ack.identity == who)
    right = reasons == {"first_contact": 1, "idle_timeout": 1} and sorted(answers.values()) == [1, BURST]
    return [] if right else [f"{who}: {dict(reasons)}, answers {sorted(answers.values())}"]
