"""Between the wire and the services: requests become calls, rows become answers."""

from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import Any, TypeVar

from convo_service import errors, schemas
from convo_service.db import models
from convo_service.domain.evolution import identity_of, text_of
from convo_service.domain.ids import new_id
from convo_service.domain.seed import Part
from convo_service.domain.text import clean, cut
from convo_service.domain.usage import Usage
from convo_service.domain.window import service_window_end
from convo_service.errors import InvalidRequest
from convo_service.services import entries, pauses
from convo_service.services.arrivals import GENERAL, Answer, Call
from convo_service.services.erasures import Receipt
from convo_service.services.history import ConversationFilter
from convo_service.services.ledger import Reported
from convo_service.services.messages import NewMessage
from convo_service.services.paging import Listing, Page
from convo_service.services.previews import Preview
from convo_service.services.turn_records import TurnView
from convo_service.services.users import UserView
from convo_service.settings import Settings

MAX_QUOTE_CHARS = 300
MAX_NOTE_CHARS = 500  # when it is printed: some characters are one here and many there

Row = TypeVar("Row")
Out = TypeVar("Out", bound=schemas.Response)


def call_of(body: schemas.GetOrCreate, settings: Settings) -> Call:
    """What the service is asked for."""
    message = None
    if body.message is not None:
        text = readable(body.message.text, settings)
        message = NewMessage("inbound", text, body.message.id, body.message.sent_at)
    return Call(
        identity=body.identity,
        aliases=tuple(body.aliases),
        message=message,
        topic=body.topic or GENERAL,
        is_topic_open=body.topic is None,
        template=body.template,
        seed_message=body.seed_message,
    )


def call_of_evolution(body: schemas.EvolutionMessage, settings: Settings) -> Call:
    """What Evolution API asks for: it has no message ids, so each message gets one of ours."""
    text = readable(text_of(body.query), settings)
    return Call(identity=identity_of(body.user), message=NewMessage("inbound", text, new_id("evo")))


def appended(message: schemas.AppendedMessage, settings: Settings) -> NewMessage:
    """A message that was said elsewhere."""
    usage = _reported(message.usage) if message.usage is not None else None
    return NewMessage(message.direction, readable(message.text, settings), message.id, message.sent_at, usage)


def _reported(usage: schemas.Usage) -> Reported:
    used = Usage(usage.input_tokens, usage.cached_input_tokens, 0, usage.output_tokens)
    return Reported(usage.model, used, usage.cost_usd, usage.baseline_input_tokens)


def given_text(body: schemas.Request) -> dict[str, Any]:
    """The fields that were given; a text has to hold something that can be seen."""
    given = body.model_dump(exclude_unset=True)
    if "text" in given and not 0 < len(clean(given["text"])) <= MAX_NOTE_CHARS:
        raise InvalidRequest(f"A text has to hold something that can be seen, and {MAX_NOTE_CHARS} characters at most")
    return given


def whole(body: schemas.Request) -> dict[str, Any]:
    """All fields; each text has to hold something that can be seen."""
    fields = body.model_dump()
    if any(isinstance(value, str) and not clean(value) for value in fields.values()):
        raise InvalidRequest("A text has to hold something that can be seen")
    return fields


def readable(text: str, settings: Settings) -> str:
    """A text as it may be stored; raises InvalidRequest."""
    if not clean(text):
        raise InvalidRequest("A message has to hold something that can be seen")
    if len(text) > settings.max_message_chars:
        raise InvalidRequest(f"A message has at most {settings.max_message_chars} characters")
    return text


def page_of(query: schemas.PageQuery) -> Page:
    """The page that is asked for."""
    return Page(query.limit, query.after, query.before, query.order)


def filter_of(query: schemas.ConversationQuery) -> ConversationFilter:
    """The filters without the page."""
    return ConversationFilter(**query.model_dump(exclude=set(schemas.PageQuery.model_fields)))


def listing(found: Listing[Row], convert: Callable[[Row], Out], *, key: str = "id") -> schemas.ListOf[Out]:
    """One page, in the envelope that every list has; `key` is the field that names a row."""
    data = [convert(row) for row in found.rows]
    ids: list[Any] = [getattr(one, key, None) for one in data]
    return schemas.ListOf(
        data=data, first_id=ids[0] if ids else None, last_id=ids[-1] if ids else None, has_more=found.has_more
    )


def got(answer: Answer) -> schemas.GotOrCreated:
    """The conversation to use, and what became of the message."""
    return schemas.GotOrCreated(
        conversation=conversation_out(answer.conversation),
        created=answer.created,
        duplicate=answer.duplicate,
        command="new_conversation" if answer.is_command else None,
        reply=answer.reply,
        input=answer.input,
        message=message_out(answer.message) if answer.message is not None else None,
        degraded="stale_conversation" if answer.degraded else None,
        paused_until=answer.pause.until if answer.pause is not None and answer.is_silent else None,
        missed=[schemas.Item.model_validate(one) for one in answer.missed],
    )


def turn_out(view: TurnView) -> schemas.Turn:
    """A turn with its conversation, reply and usage."""
    turn, failed = view.turn, view.turn.status == "failed"
    return schemas.Turn(
        id=turn.id,
        user_id=turn.user_id,
        status="in_progress" if turn.status == "waiting" else turn.status,
        conversation=conversation_out(view.conversation) if view.conversation is not None else None,
        created=turn.created,
        duplicate=view.duplicate,
        command="new_conversation" if view.message.is_command and not view.message.late else None,
        paused=turn.paused,
        reply=schemas.TurnReply(message_id=view.reply.id, text=view.reply.text) if view.reply is not None else None,
        usage=schemas.TurnUsage.model_validate(view.call) if view.call is not None else None,
        latency_ms=turn.latency_ms,
        error=_turn_error(turn.error_code) if failed and turn.error_code else None,
    )


def _turn_error(code: str) -> schemas.TurnError:
    known = {one.code: one.title for one in errors.all_kinds()}
    return schemas.TurnError(code=code, message=known.get(code, errors.ConvoError.title))


def conversation_out(row: models.Conversation) -> schemas.Conversation:
    """A conversation with its seed."""
    return schemas.Conversation.model_validate({**_columns(row, schemas.Conversation), "seed": seed_out(row.seed)})


def seed_out(row: models.Seed | None) -> schemas.Seed | None:
    """What a conversation started with; None when it started empty."""
    if row is None:
        return None
    covers = None
    if row.covered_count:
        covers = schemas.Covers(
            from_message_id=row.from_message_id, to_message_id=row.to_message_id, count=row.covered_count
        )
    return schemas.Seed.model_validate({**_columns(row, schemas.Seed), "covers": covers})


def _columns(row: models.Base, out: type[schemas.Response]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in _wanted(out)}


@cache
def _wanted(out: type[schemas.Response]) -> frozenset[str]:
    return frozenset(out.model_fields) - {"object", "seed", "covers"}


def message_out(row: models.Message) -> schemas.Message:
    """A message."""
    return schemas.Message.model_validate(row)


def profile_out(row: models.Profile) -> schemas.Profile:
    """A profile."""
    return schemas.Profile.model_validate(row)


def note_out(row: models.Note) -> schemas.Note:
    """A note."""
    return schemas.Note.model_validate(row)


def template_out(row: models.TemplateVersion) -> schemas.Template:
    """A version of a template."""
    return schemas.Template.model_validate(row)


def topic_out(row: models.Topic) -> schemas.Topic:
    """A topic."""
    return schemas.Topic.model_validate(row)


def preview_out(preview: Preview) -> schemas.SeedPreview:
    """A seed with the messages behind its entries."""
    seed = preview.seed
    return schemas.SeedPreview(
        text=seed.text,
        generator=seed.generator,
        tokens=seed.tokens,
        entries=[_entry(part, preview) for part in seed.parts],
        removed=[_entry(part, preview) for part in preview.removed],
    )


def _entry(part: Part, preview: Preview) -> schemas.SeedEntry:
    quotes = [_quote(preview.messages[one]) for one in part.message_ids if one in preview.messages]
    return schemas.SeedEntry.model_validate(
        {**{name: getattr(part, name) for name in schemas.SeedEntry.model_fields if name != "quotes"}, "quotes": quotes}
    )


def _quote(row: models.Message) -> schemas.Quote:
    return schemas.Quote.model_validate(
        {
            "message_id": row.id,
            "direction": row.direction,
            "sent_at": row.sent_at,
            "text": cut(row.said, MAX_QUOTE_CHARS),
        }
    )


def summary_out(row: models.Summary) -> schemas.Summary:
    """A version of a summary."""
    return schemas.Summary.model_validate(
        {
            "id": row.id,
            "user_id": row.user_id,
            "conversation_id": row.conversation_id,
            "state": row.state,
            "created_at": row.asked_at,
            "prompt_hash": row.prompt_hash,
            "covers": schemas.Covers(
                from_message_id=row.from_message_id, to_message_id=row.to_message_id, count=row.covered_count
            ),
            **{kind: _statements(row, kind) for kind in ("topics", "open_issues", "preferences", "facts")},
            "dropped": row.dropped,
            "usage": schemas.SummaryUsage.model_validate(row),
        }
    )


def _statements(row: models.Summary, kind: str) -> list[schemas.SummaryEntry]:
    found = entries.all_from_json(row.entries.get(kind, ()))
    return [schemas.SummaryEntry(text=entry.text, message_ids=list(entry.message_ids)) for entry in found]


def erasure_out(receipt: Receipt) -> schemas.Erasure:
    """A receipt."""
    erasure = receipt.erasure
    return schemas.Erasure(
        id=erasure.id,
        state="in_progress" if erasure.completed_at is None else "completed",
        requested_at=erasure.requested_at,
        completed_at=erasure.completed_at,
        rows_left=erasure.user_id is not None,
        rows=erasure.rows,
        remote_conversations=erasure.remote_conversations,
        remote_items=erasure.remote_items,
        stored_responses=erasure.stored_responses,
        remotes_left=receipt.remotes_left,
    )


def user_out(view: UserView, now: datetime) -> schemas.User:
    """A user with what belongs to her, as of now."""
    user = view.user
    return schemas.User(
        id=user.id,
        identities=list(view.identities),
        display_name=view.display_name,
        cohort="holdout" if user.cohort == "holdout" else "window",
        active_conversations=[conversation_out(row) for row in view.active_conversations],
        conversation_count=user.conversation_count,
        message_count=user.message_count,
        first_seen_at=user.first_seen_at,
        last_seen_at=user.last_seen_at,
        paused_until=user.paused_until if pauses.is_paused(user, now) else None,
        window_closes_at=service_window_end(view.last_inbound_at) if view.last_inbound_at is not None else None,
    )
