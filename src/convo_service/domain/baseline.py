"""What one endless conversation would have used, without asking anybody: rules of tokens and of prompt caching.

Texts are counted as every budget here counts them; what OpenAI really counted then scales the whole, so that a
tokenizer, a language or a model that counts otherwise makes no difference.
"""

from dataclasses import dataclass

from convo_service.domain.text import tokens

ITEM_TOKENS = 4  # of each item beside its text
CACHE_FROM, CACHE_STEP = 1024, 128  # OpenAI caches a prefix from so many tokens on, in such steps
CACHE_SECONDS = 3600.0  # a prefix that nobody sends for so long is forgotten; generous, so in favour of the endless one


def item_tokens(text: str) -> int:
    """The tokens of one item of a conversation."""
    return tokens(text) + ITEM_TOKENS


def cached(prefix_tokens: int, seconds_since: float | None) -> int:
    """How many tokens of a prompt come from the cache when `prefix_tokens` of it were sent so many seconds ago."""
    if seconds_since is None or seconds_since > CACHE_SECONDS or prefix_tokens < CACHE_FROM:
        return 0
    return prefix_tokens // CACHE_STEP * CACHE_STEP


@dataclass(frozen=True, slots=True)
class Sizes:
    """Estimated tokens at the moment of a reply, the message that is answered included."""

    instructions: int | None  # sent with every request, to either conversation; None: somebody else's
    start: int  # what this conversation started with: its seed and what was carried over
    window: int  # what was said in it
    talk: int  # all that was ever said with this user

    def endless(self, input_tokens: int) -> int:
        """The input tokens of one endless conversation, when this one's were `input_tokens`."""
        if self.instructions is None:  # then what was said before is all that is different, unscaled
            return max(input_tokens - self.start, 0) + max(self.talk - self.window, 0)
        counted = self.instructions + self.start + self.window
        return round(input_tokens * (self.instructions + max(self.talk, self.window)) / counted) if counted else 0
