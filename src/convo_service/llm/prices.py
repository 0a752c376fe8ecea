"""What a model costs: genai-prices knows the prices, which change every month."""

import asyncio

from convo_service.domain.usage import Prices

OPENAI_URL = "https://api.openai.com/v1"
MAX_KNOWN = 256
UNIT = 1000  # tokens: a price that rises with the prompt's length is taken at its beginning

_known: dict[tuple[str, str | None], Prices | None] = {}


async def look_up(model: str, base_url: str | None) -> Prices | None:
    """The prices of a model; None when the provider or the model has no known price."""
    key = (model, base_url)
    if key not in _known:
        found = await asyncio.to_thread(prices_of, model, base_url)  # the first call reads all, in half a second
        if len(_known) >= MAX_KNOWN:
            _known.clear()
        _known[key] = found
    return _known[key]


def prices_of(model: str, base_url: str | None) -> Prices | None:
    """The same, looked up anew."""
    from genai_prices import Usage, calc_price

    def price(**tokens: int) -> float:
        usage = Usage(**tokens)
        return float(calc_price(usage, model, provider_api_url=base_url or OPENAI_URL).total_price) / UNIT

    try:
        plain = price(input_tokens=UNIT)
        return Prices(
            input=plain,
            cached_input=price(input_tokens=UNIT, cache_read_tokens=UNIT),
            cache_write=price(input_tokens=UNIT, cache_write_tokens=UNIT),
            output=price(output_tokens=UNIT),
        )
    except Exception:  # a price is never worth a reply
        return None
