"""What a call of a model used, and what that costs at given prices."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call; those from the cache and those written to it are part of the input."""

    input_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0  # of the output: thought, not said, and in no later prompt

    @property
    def said_tokens(self) -> int:
        """What of the output stays in the conversation."""
        return max(self.output_tokens - self.reasoning_tokens, 0)


@dataclass(frozen=True, slots=True)
class Prices:
    """US dollars for one token."""

    input: float
    cached_input: float
    cache_write: float
    output: float

    def cost(self, usage: Usage) -> float:
        """What a call costs, in US dollars."""
        cached = min(usage.cached_input_tokens, usage.input_tokens)
        written = min(usage.cache_write_tokens, usage.input_tokens - cached)
        return (
            (usage.input_tokens - cached - written) * self.input
            + cached * self.cached_input
            + written * self.cache_write
            + usage.output_tokens * self.output
        )
