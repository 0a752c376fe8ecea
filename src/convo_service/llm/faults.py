"""What an error of a call to OpenAI means: whose it is, whether to repeat, and how a circuit breaker counts it."""

import re

from convo_service.llm.breaker import CircuitOpen

MAX_RETRY_AFTER_SECONDS = 60
SHORT_WAIT_SECONDS = 2.0  # who asks for more gets the answer that there is none
_SECONDS = re.compile(r"[0-9]{1,9}")
_DECISIVE = frozenset({"insufficient_quota", "invalid_api_key", "account_deactivated"})


class NoAnswer(Exception):
    """OpenAI answered with success and with nothing that can be used."""


def is_upstream(error: BaseException) -> bool:
    """Whether it is OpenAI's fault and none of ours."""
    import openai

    return isinstance(error, NoAnswer | TimeoutError | openai.OpenAIError | ValueError)


def is_final(error: Exception) -> bool:
    """Whether a repeat is pointless: a 4xx that is not about the key, the rate, or another request's lock."""
    status = getattr(error, "status_code", None)
    if not isinstance(status, int) or not 400 <= status < 500:
        return False
    return status not in (401, 403, 408, 409, 429) and not is_locked(error)


def retry_after(error: Exception) -> int:
    """Seconds that OpenAI asked for, within reason; else five."""
    if isinstance(error, CircuitOpen):
        return error.seconds
    asked = _asked_to_wait(error)
    return 5 if asked is None else min(asked, MAX_RETRY_AFTER_SECONDS)


def _asked_to_wait(error: BaseException | None) -> int | None:
    response = getattr(error, "response", None)
    asked = response.headers.get("retry-after", "") if response is not None else ""
    return int(asked) if _SECONDS.fullmatch(asked) else None


def was_not_sent(error: BaseException | None) -> bool:
    """Whether the request never left: then a repeat can make nothing twice."""
    import httpx2

    return isinstance(
        getattr(error, "__cause__", None), httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.PoolTimeout
    )


def is_locked(error: BaseException | None) -> bool:
    """Whether another answer is being made in the same conversation: OpenAI makes one at a time."""
    return getattr(error, "code", None) == "conversation_locked"


def is_lost(error: BaseException | None) -> bool:
    """Whether something that the request names is not there; a model that does not exist says so."""
    return getattr(error, "status_code", None) == 404 and getattr(error, "code", None) != "model_not_found"


def may_have_happened(error: BaseException) -> bool:
    """Whether OpenAI may have carried out what it did not say: it was sent, and nobody refused it."""
    status = getattr(error, "status_code", None)
    refused = isinstance(status, int) and 400 <= status < 500
    return not (refused or was_not_sent(error) or isinstance(error, CircuitOpen))


def wait_before_repeat(error: Exception) -> bool | float:
    """Seconds to wait when the same call may be made again, False when not, True when it is for the caller to say.

    After a read timeout or a 5xx the outcome is unknown: a repeat could make a second conversation.
    """
    cause = error.__cause__
    if was_not_sent(cause):
        return True
    asked = _asked_to_wait(cause)
    limited = getattr(cause, "status_code", None) == 429 and getattr(cause, "code", None) not in _DECISIVE
    return asked if limited and asked is not None and asked <= SHORT_WAIT_SECONDS else False


def weight(error: BaseException) -> int | None:
    """How a circuit breaker counts an error: a wrong key and an empty account are not going to pass."""
    if isinstance(error, CircuitOpen) or not isinstance(error, Exception):
        return None
    if not is_upstream(error):
        return 0
    status = getattr(error, "status_code", None)
    if status == 401 or getattr(error, "code", None) in _DECISIVE:
        return 2
    return 0 if isinstance(status, int) and status < 500 else 1
