"""What a model call cost: genai-prices knows the prices, which change every month."""

OPENAI_URL = "https://api.openai.com/v1"
_USUAL = 10_000  # tokens of a prompt


def cost_usd(
    model: str, *, base_url: str | None, input_tokens: int, cached_input_tokens: int, output_tokens: int
) -> float | None:
    """The price in US dollars; None when the provider or the model has no known price.

    To be run in a thread: the first call reads the prices, which takes half a second.
    """
    from genai_prices import Usage, calc_price

    usage = Usage(
        input_tokens=input_tokens, cache_read_tokens=min(cached_input_tokens, input_tokens), output_tokens=output_tokens
    )
    try:
        return float(calc_price(usage, model, provider_api_url=base_url or OPENAI_URL).total_price)
    except Exception:  # a price is never worth a summary
        return None


def input_prices(model: str, *, base_url: str | None) -> tuple[float, float] | None:
    """US dollars for a token of input, fresh and from the cache; None when they are not known.

    They are those of prompts of usual length: some models charge more for very long ones.
    """
    fresh, from_cache = (
        cost_usd(model, base_url=base_url, input_tokens=_USUAL, cached_input_tokens=cached, output_tokens=0)
        for cached in (0, _USUAL)
    )
    return None if fresh is None or from_cache is None else (fresh / _USUAL, from_cache / _USUAL)
