"""The error tree: each error knows its HTTP status and its stable code; `detail` never holds message text."""

from collections.abc import Mapping


class ConvoError(Exception):
    """What this service answers on purpose; rendered as RFC 9457 problem details in one place."""

    status_code = 500
    code = "internal_error"
    title = "Something went wrong on our side"

    def __init__(self, detail: str | None = None, *, retry_after: int | None = None) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.retry_after = retry_after  # seconds
        self.turn_id: str | None = None  # of the turn that failed with it

    @property
    def headers(self) -> Mapping[str, str]:
        """Header fields that belong to the answer."""
        return {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}


class InvalidRequest(ConvoError):
    """The request is well-formed JSON or a well-formed query, and breaks a rule of the contract."""

    status_code = 422
    code = "invalid_request"
    title = "The request breaks a rule of the contract"


class InvalidCursor(InvalidRequest):
    """`after` or `before` is no id of this list."""

    code = "invalid_cursor"
    title = "The cursor is no id of this list"


class InvalidIdentity(InvalidRequest):
    """The identity is empty, too long, or holds characters that nobody can see."""

    code = "invalid_identity"
    title = "The identity has to be 1 to 128 visible characters"


class MessageIdReused(InvalidRequest):
    """The same message id came with another text; the first one stands."""

    code = "message_id_reused"
    title = "This message id was used before with another text"


class SentAtInFuture(InvalidRequest):
    """The message claims to be sent more than five minutes from now."""

    code = "sent_at_in_future"
    title = "sent_at lies more than five minutes in the future"


class TopicsAreOff(InvalidRequest):
    """A topic other than `general` came while TOPICS is off."""

    code = "topics_are_off"
    title = "Topics are off: the only topic is general"


class UnknownTimeZone(InvalidRequest):
    """A name that is no zone's."""

    code = "unknown_time_zone"
    title = "time_zone has to be an IANA name such as Europe/Rome"


class InvalidPeriod(InvalidRequest):
    """A period in which no hour begins, or one that is too long for what is asked of it."""

    code = "invalid_period"
    title = "No hour begins from `after` on and before `before`"


class NotCounted(InvalidRequest):
    """A figure that nobody counts in this way."""

    code = "not_counted"
    title = "This is not counted by that"


class InvalidJson(ConvoError):
    """The body is not JSON."""

    status_code = 400
    code = "invalid_json"
    title = "The body is not valid JSON"


class InvalidApiKey(ConvoError):
    """No key, or one that is unknown, expired or revoked."""

    status_code = 401
    code = "invalid_api_key"
    title = "A valid key is needed: Authorization: Bearer csk_..."

    @property
    def headers(self) -> Mapping[str, str]:
        """RFC 9110 wants the scheme named."""
        return {"WWW-Authenticate": "Bearer"}


class InsufficientScope(ConvoError):
    """The key is valid and may not do this."""

    status_code = 403
    code = "insufficient_scope"
    title = "This key's scope does not allow it"


class NotSignedIn(ConvoError):
    """A page of the dashboard was asked for without a session, or with one that is over."""

    status_code = 401
    code = "not_signed_in"
    title = "Sign in to the dashboard"


class FormExpired(ConvoError):
    """A form of the dashboard was sent by another site, or is of a session that is over."""

    status_code = 403
    code = "form_expired"
    title = "The form is of another session; load the page again"


class NotFound(ConvoError):
    """Nothing stands at this path."""

    status_code = 404
    code = "not_found"
    title = "Nothing here has this address"


class UserNotFound(NotFound):
    """No user has this id or identity."""

    code = "user_not_found"
    title = "No user has this id or identity"


class ConversationNotFound(NotFound):
    """No conversation has this id."""

    code = "conversation_not_found"
    title = "No conversation has this id"


class TemplateNotFound(NotFound):
    """No template has this name."""

    code = "template_not_found"
    title = "No template has this name"


class TopicNotFound(NotFound):
    """No topic of this name is described."""

    code = "topic_not_found"
    title = "No topic has this name"


class TurnNotFound(NotFound):
    """No turn has this id."""

    code = "turn_not_found"
    title = "No turn has this id"


class MessageNotFound(NotFound):
    """No message has this id."""

    code = "message_not_found"
    title = "No message has this id"


class NoteNotFound(NotFound):
    """No note has this id."""

    code = "note_not_found"
    title = "There is no such note"


class EntryNotFound(NotFound):
    """The seed of this user has no such entry now."""

    code = "entry_not_found"
    title = "The seed has no such entry"


class ErasureNotFound(NotFound):
    """No erasure has this id."""

    code = "erasure_not_found"
    title = "No erasure has this id"


class MessageErased(ConvoError):
    """The message was erased together with the person who wrote it, and is sent again; repeating it changes nothing."""

    status_code = 410
    code = "message_erased"
    title = "This message was erased with the person who wrote it"


class PreconditionFailed(ConvoError):
    """If-Match or If-None-Match does not hold: somebody else was faster."""

    status_code = 412
    code = "precondition_failed"
    title = "It was changed meanwhile: read it again, and send its ETag as If-Match"


class PreconditionRequired(ConvoError):
    """Something would be overwritten by somebody who does not say what he has read."""

    status_code = 428
    code = "precondition_required"
    title = "It exists: send the ETag that you have read as If-Match"


class MethodNotAllowed(ConvoError):
    """The path exists, the method does not."""

    status_code = 405
    code = "method_not_allowed"
    title = "This path does not know this method"


class PayloadTooLarge(ConvoError):
    """The body is larger than MAX_BODY_BYTES."""

    status_code = 413
    code = "payload_too_large"
    title = "The body is larger than this service takes"


class HeadersTooLarge(ConvoError):
    """What comes before a body has no end."""

    status_code = 431
    code = "headers_too_large"
    title = "The headers are larger than this service takes"


class IdentityTaken(ConvoError):
    """The identity belongs to another user."""

    status_code = 409
    code = "identity_taken"
    title = "An identity belongs to another user"


class OpeningInProgress(ConvoError):
    """Another request is opening this user's conversation and has not finished in time."""

    status_code = 409
    code = "opening_in_progress"
    title = "This user's conversation is being opened; repeat the request"


class TurnInProgress(ConvoError):
    """The same message is being answered, or others of this user were for too long."""

    status_code = 409
    code = "turn_in_progress"
    title = "This user's turn is still in progress; repeat the request"


class SummaryInProgress(ConvoError):
    """Somebody is asking the model about this conversation at this moment."""

    status_code = 409
    code = "summary_in_progress"
    title = "A summary of this conversation is being made"


class TooMany(ConvoError):
    """Something was asked for more often than it may be; what came with the request is not stored."""

    status_code = 429
    code = "too_many"
    title = "Too many; repeat the request later"


class RateLimited(TooMany):
    """A key has made all the requests that it may in a minute."""

    code = "rate_limited"
    title = "This key's requests of this minute are used up; repeat the request"


class TooManyLogins(TooMany):
    """So many keys were wrong in a minute that nobody looks at another one from this address."""

    code = "too_many_logins"
    title = "Too many attempts to sign in; try again in a minute"


class TurnBudgetSpent(TooMany):
    """A user has sent all the messages that she may in a minute."""

    code = "turn_budget_spent"
    title = "This user's messages of this minute are used up; the message is not stored, repeat the request"


class ResetBudgetSpent(TooMany):
    """A user has had all the resets that she may in an hour."""

    code = "reset_budget_spent"
    title = "This user's resets of this hour are used up; nothing was stored or closed"


class SummaryBudgetSpent(TooMany):
    """The model has written all the summaries that a user may have in a day."""

    code = "summary_budget_spent"
    title = "This user's summaries of the last 24 hours are used up"


class Unavailable(ConvoError):
    """Something that this service stands on does not answer; the same request may succeed later."""

    status_code = 503
    code = "unavailable"
    title = "Not available at the moment; repeat the request"

    def __init__(self, detail: str | None = None, *, retry_after: int | None = 5) -> None:
        super().__init__(detail, retry_after=retry_after)


class UpstreamUnavailable(Unavailable):
    """OpenAI failed, was too slow, or answered what is no answer; the message is kept."""

    code = "upstream_unavailable"
    title = "OpenAI does not answer at the moment; the message is kept, repeat the request"

    def __init__(self, detail: str | None = None, *, retry_after: int | None = 5, uncertain: bool = False) -> None:
        super().__init__(detail, retry_after=retry_after)
        self.uncertain = uncertain  # OpenAI may have done it without our hearing of it


class SummaryFailed(UpstreamUnavailable):
    """The model did not answer an operator who asked for a summary."""

    title = "OpenAI does not answer at the moment; the seed is what it was"


class UpstreamRefused(UpstreamUnavailable):
    """OpenAI understood and refused: the same request would be refused again."""


class UpstreamLocked(UpstreamUnavailable):
    """OpenAI makes another answer in this conversation at this moment."""


class UpstreamLost(UpstreamUnavailable):
    """OpenAI has no such conversation any more."""


class UpstreamFailed(ConvoError):
    """The model was asked and gave no reply; the message is kept, and the same request asks again."""

    status_code = 502
    code = "upstream_failed"
    title = "The model gave no reply; the message is kept, repeat the request"


class TurnInterrupted(ConvoError):
    """What is said of a turn whose process ended before the model had answered; nobody is there to be told."""

    status_code = 503
    code = "turn_interrupted"
    title = "The process that worked on the turn ended; repeat the message"


class ModelNotConfigured(Unavailable):
    """A turn came, and the installation has no OPENAI_MODEL."""

    code = "model_not_configured"
    title = "Turns need OPENAI_MODEL"


class DatabaseUnavailable(Unavailable):
    """The database does not answer, is locked, or its disk is full."""

    code = "database_unavailable"
    title = "The database does not answer at the moment; repeat the request"


class Contended(DatabaseUnavailable):
    """Another transaction wanted the same rows and was faster; the whole transaction can be repeated."""

    code = "contended"
    title = "Another request was in the way; repeat the request"


class MigrationsPending(Unavailable):
    """The database is of a version that this code does not work with."""

    code = "migrations_pending"
    title = "The database is of another version: run `convo-service migrate`"


def all_kinds(kind: type[ConvoError] = ConvoError) -> list[type[ConvoError]]:
    """Every error of the tree, the general before the special."""
    return [kind, *(one for below in kind.__subclasses__() for one in all_kinds(below))]
