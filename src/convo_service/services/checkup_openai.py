"""What `doctor` looks at beyond the network: whoever is at OPENAI_BASE_URL, the models, their prices, the clock."""

import time
from collections.abc import AsyncIterator
from datetime import datetime

from convo_service.llm import prices
from convo_service.llm.client import LLMClient
from convo_service.llm.sight import MODEL_NOT_FOUND, Sight
from convo_service.services.checkup import Check
from convo_service.settings import Settings

ASK_SECONDS = 8.0
CLOCK_TOLERANCE_SECONDS = 30.0  # the answer's way, and whole seconds
ANY_MODEL = "gpt-4o-mini"  # to try a key with, when no model is set


async def of_openai(llm: LLMClient, settings: Settings, now: datetime) -> AsyncIterator[Check]:
    """Whether the key is taken and the models are known; costs nothing."""
    if settings.openai_api_key is None:
        yield Check("OpenAI", "problem", "OPENAI_API_KEY is not set", "Set it; to try the service: serve --emulator")
        return
    named = (settings.openai_model, settings.model_for_summaries, settings.summary_model_strong)
    models = sorted({one for one in named if one})
    before = time.monotonic()
    for model in models or [ANY_MODEL]:
        seen = await llm.look(model, deadline=time.monotonic() + ASK_SECONDS)
        yield _who(seen, model if models else None)
        if seen.clock is not None and model == (models or [ANY_MODEL])[0]:
            yield _clock(seen.clock, now.timestamp() + time.monotonic() - before)
        if not seen.speaks or seen.status in (401, 403):
            return  # the next model would tell the same
        if models:
            yield await _price(model, settings)
    if not settings.openai_model:
        yield Check("turns", "warning", "OPENAI_MODEL is not set: POST /turns answers 503", "Set it, if you use turns")


def _who(seen: Sight, model: str | None) -> Check:
    if seen.status is None:
        advice = "Check OPENAI_BASE_URL, the network, and OpenAI's status page"
        return Check("OpenAI", "problem", "cannot be reached", advice)
    if seen.status in (401, 403):
        return Check("OpenAI", "problem", f"the key is refused ({seen.status})", "Check OPENAI_API_KEY")
    if not seen.speaks:
        advice = "Check OPENAI_BASE_URL: it ends in /v1, as in https://api.openai.com/v1"
        return Check("OpenAI", "problem", f"who answers there is no OpenAI (status {seen.status})", advice)
    if seen.status == 404:
        return _unknown(seen, model)
    if seen.status >= 400:
        return Check("OpenAI", "problem", f"answered {seen.status}", "See OpenAI's status page, and the account")
    if not seen.keeps_conversations:
        advice = "Use a server with OpenAI's Conversations API: nothing works without it"
        return Check("OpenAI", "problem", "the key is taken, and there are no conversations", advice)
    return Check("OpenAI", "ok", "the key is taken" + (f", {model} is there" if model else ""))


def _unknown(seen: Sight, model: str | None) -> Check:
    """OpenAI says of a model that it is not there by a code; of an address that it does not know, without."""
    if seen.code != MODEL_NOT_FOUND and not seen.keeps_conversations:
        advice = "Check OPENAI_BASE_URL: it ends in /v1, as in https://api.openai.com/v1"
        return Check("OpenAI", "problem", "that address is not known there (404)", advice)
    if model is None:
        return Check("OpenAI", "ok", "the key is taken")
    return Check("OpenAI", "problem", f"{model} is not there", "Check OPENAI_MODEL and the models of summaries")


def _clock(theirs: datetime, ours: float) -> Check:
    apart = ours - theirs.timestamp()
    if abs(apart) <= CLOCK_TOLERANCE_SECONDS:
        return Check("time", "ok", "agrees with OpenAI's clock")
    how = f"{abs(apart):,.0f} s {'ahead of' if apart > 0 else 'behind'} OpenAI's clock"
    return Check("time", "warning", f"this machine is {how}", "Set it by NTP: windows go by it")


async def _price(model: str, settings: Settings) -> Check:
    if await prices.look_up(model, settings.openai_base_url) is not None:
        return Check("price", "ok", f"of {model} is known")
    advice = "Nothing, or report cost_usd with the usage of replies"
    return Check("price", "warning", f"of {model} is not known: tokens are counted, and no money", advice)
