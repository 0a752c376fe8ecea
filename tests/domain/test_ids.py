"""Ids sort in the order in which they were made."""

import re

from convo_service.domain.ids import new_id


def test_order_and_form() -> None:
    """Ids of one process are unique, well-formed, and sorted by the time of their making."""
    made = [new_id("msg") for _ in range(5000)]
    assert made == sorted(set(made))
    assert all(re.fullmatch(r"msg_[0-9a-hjkmnp-tv-z]{26}", one) for one in made)
