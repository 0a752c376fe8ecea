"""Points at which a test may kill this very process, to see that what it leaves behind is repaired."""

import os
import signal
from collections import Counter

VARIABLE = "CONVO_CRASH_AT"

BEFORE_T1 = "before_t1"
AFTER_T1 = "after_t1"
IN_SEED = "in_seed"
AFTER_SEED = "after_seed"
CREATED = "created"  # OpenAI has answered, and nothing of it is written down
AFTER_T3 = "after_t3"
SEEDED = "seeded"
AFTER_T4 = "after_t4"  # the reply is not sent
BEFORE_ASKING = "before_asking"  # the turn is in progress
REPLIED = "replied"  # the model has answered, and nothing of it is written down
COMPLETED = "completed"  # the turn is, and nobody knows yet
RESERVE_MADE = "reserve_made"  # OpenAI has made one for the reserve, and nothing of it is written down
ERASURE_BEGUN = "erasure_begun"  # the user is gone for everybody, and the rows are there
ERASING = "erasing"  # some of the rows are gone, or all
SCRUBBED = "scrubbed"  # their bytes are gone from the file, and nothing of it is written down
GARBAGE_EMPTIED = "garbage_emptied"  # its items are deleted at OpenAI, it is not
GARBAGE_DELETED = "garbage_deleted"  # it is gone at OpenAI, and still listed here

_passed: Counter[str] = Counter()


def crash_point(name: str) -> None:
    """Nothing, unless CONVO_CRASH_AT is `name`, `name:2` (the second time) or `name:1:SIGSTOP` (another signal)."""
    wanted = os.environ.get(VARIABLE)
    if wanted is None:
        return
    point, times, number = (*wanted.split(":"), "", "")[:3]
    if point != name:
        return
    _passed[name] += 1
    if _passed[name] == int(times or 1):
        os.kill(os.getpid(), signal.Signals[number or "SIGKILL"])
