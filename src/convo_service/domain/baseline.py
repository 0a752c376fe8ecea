"""What one endless conversation would have used, without asking anybody: rules of tokens and of prompt caching.

What OpenAI counted for one prompt and for the next says what the talk between them came to; only the first message of a
conversation is estimated, as every budget here estimates, and scaled by what was counted.
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

    @property
    def told(self) -> int:
        """The instructions, as far as they are known."""
        return self.instructions or 0

    def scaled(self, estimate: int, input_tokens: int) -> int:
        """An estimate as it would be counted, when this conversation's prompt counted as `input_tokens`."""
        if self.instructions is None:
            return estimate
        counted = self.instructions + self.start + self.window
        return round(input_tokens * estimate / counted) if counted else 0

    def endless(self, input_tokens: int) -> int:
        """The input tokens of one endless conversation, by the sizes alone."""
        if self.instructions is None:  # then what was said before is all that is different, unscaled
            return max(input_tokens - self.start, 0) + max(self.talk - self.window, 0)
        return self.scaled(self.instructions + max(self.talk, self.window), input_tokens)


@dataclass(frozen=True, slots=True)
class Held:
    """What the conversations held after their last reply, as it was counted, less the estimate of the instructions."""

    endless: int | None  # None: no reply of this user was ever counted
    here: int | None  # None: none was in this conversation

    def prompt(self, sizes: Sizes, input_tokens: int) -> int:
        """The input tokens of one endless conversation, when this one's were `input_tokens`.

        What was said since the last reply is counted by OpenAI itself, as what this prompt has more than the one before
        it; in a new conversation it is estimated. So instructions, seeds and talk may be of any languages: what a
        character costs in one of them is not taken for the others.
        """
        if self.endless is None:
            return sizes.endless(input_tokens)
        if self.here is None:
            return sizes.told + self.endless + sizes.scaled(sizes.window, input_tokens)
        since = input_tokens - sizes.told - self.here
        return sizes.told + self.endless + since if since >= 0 else sizes.endless(input_tokens)
