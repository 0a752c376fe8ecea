"""Typed async client for gateways: httpx and the wire contract, nothing else."""

import re
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from convo_service import schemas

Out = TypeVar("Out", bound=BaseModel)
_SECONDS = re.compile("[0-9]{1,9}")


class ProblemError(Exception):
    """The service refused: `problem` says why, `retry_after` (seconds) when to come again."""

    def __init__(self, problem: schemas.Problem, retry_after: int | None) -> None:
        super().__init__(f"{problem.status} {problem.code}: {problem.detail}")
        self.problem = problem
        self.retry_after = retry_after


class ConvoClient:
    """What a gateway needs: the conversation of a message, appending replies, profiles, resets.

    Transport errors come out as httpx raises them; a refusal as ProblemError. Repeating a call with the same message
    id is safe.
    """

    def __init__(
        self, base_url: str, key: str, *, timeout: float = 12.0, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        headers = {"Authorization": f"Bearer {key}"}
        self._http = httpx.AsyncClient(base_url=base_url, headers=headers, timeout=timeout, transport=transport)

    async def __aenter__(self) -> Self:
        """Use it as a context, so that the connections are closed."""
        return self

    async def __aexit__(self, *_error: type[BaseException] | BaseException | TracebackType | None) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def get_or_create(self, request: schemas.GetOrCreate) -> schemas.GotOrCreated:
        """The conversation to use at OpenAI for this message."""
        return await self._post("/conversations", request, schemas.GotOrCreated)

    async def append(
        self, conversation_id: str, messages: Sequence[schemas.AppendedMessage]
    ) -> schemas.ListOf[schemas.Message]:
        """Store what was said elsewhere, such as the bot's reply."""
        body = schemas.AppendMessages(messages=list(messages))
        return await self._post(f"/conversations/{conversation_id}/messages", body, schemas.ListOf[schemas.Message])

    async def close(self, conversation_id: str) -> schemas.Conversation:
        """Close a conversation by hand."""
        return await self._post(f"/conversations/{conversation_id}/close", None, schemas.Conversation)

    async def look_up(self, identity: str) -> schemas.User:
        """Find a user by phone number, BSUID or another identity."""
        return await self._post("/users/lookup", schemas.Lookup(identity=identity), schemas.User)

    async def reset(self, user_id: str, *, forget: bool = False) -> schemas.Conversation:
        """Open a new conversation by hand."""
        return await self._post(f"/users/{user_id}/reset", schemas.Reset(forget=forget), schemas.Conversation)

    async def put_profile(self, user_id: str, profile: schemas.ProfileUpdate) -> schemas.Profile:
        """Fill or correct what is known of a user."""
        answer = await self._http.put(f"/users/{user_id}/profile", json=_json(profile))
        return _parsed(answer, schemas.Profile)

    async def _post(self, path: str, body: BaseModel | None, out: type[Out]) -> Out:
        return _parsed(await self._http.post(path, json=_json(body) if body is not None else None), out)


def _json(body: BaseModel) -> Any:
    return body.model_dump(mode="json", exclude_unset=True)


def _parsed(answer: httpx.Response, out: type[Out]) -> Out:
    if answer.is_success:
        return out.model_validate_json(answer.content)
    retry_after = answer.headers.get("retry-after", "")
    raise ProblemError(_problem(answer), int(retry_after) if _SECONDS.fullmatch(retry_after) else None)


def _problem(answer: httpx.Response) -> schemas.Problem:
    """The service's own words, or the bare status of whoever answered in its place, such as a proxy."""
    try:
        return schemas.Problem.model_validate_json(answer.content)
    except ValidationError:
        return schemas.Problem(
            type="about:blank",
            title=answer.reason_phrase or "Unknown status",
            status=answer.status_code,
            code=f"http_{answer.status_code}",
            detail="The answer is no problem document; something between here and the service may have given it",
            instance=answer.url.path,
            request_id=answer.headers.get("x-request-id", ""),
        )
