"""A stored history to read: users who come back every other day, in the evening and the next morning."""

from datetime import UTC, datetime, timedelta

from convo_service.db.engine import open_database
from convo_service.db.models import Message, Profile, User

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
WORDS = "Buongiorno, vorrei altri 25 sacchi di farina Manitoba W350 per venerdì mattina"


async def store(url: str, users: int, turns: int) -> None:
    """Store so many users who write so many times, and are answered each time."""
    database = open_database(url)
    async with database.write.begin() as tx:
        for number in range(users):
            user = f"usr_{number:03}"
            tx.add(User(id=user, cohort="window", message_count=2 * turns, first_seen_at=START, last_seen_at=START))
            await tx.flush()
            tx.add(Profile(user_id=user, name="Maria", last_name="Bianchi"))
            for turn in range(turns):
                at = START + timedelta(hours=turn // 2 * 50 + turn % 2 * 12, minutes=number)
                for side, text in (("inbound", f"{WORDS} ({turn})"), ("outbound", "Confermo l'ordine")):
                    tx.add(message(user, f"{turn:03}{side}", side, text, at))
    await database.close()


def message(user: str, name: str, side: str, text: str, at: datetime) -> Message:
    """A row."""
    return Message(
        user_id=user, id=f"msg_{name}", topic="general", direction=side, text=text, sent_at=at, received_at=at
    )
