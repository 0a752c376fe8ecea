"""Every metric of this process, on one page; `services.gauges` has those that the database knows.

The names of OpenTelemetry's conventions where there is one. No label speaks of a user, and each has few values.
"""

from functools import cache

from convo_service.telemetry.prometheus import Meter

METER = Meter("convo_service")
TOKENS = (10, 25, 50, 100, 150, 200, 300, 400, 600, 1000, 2000)
# As the conventions have them.
MODEL_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
MODEL_TOKENS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576)
METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})

requests = METER.create_histogram("http.server.request.duration", "s", "HTTP requests by route and status.")
messages = METER.create_counter(
    "convo.messages",
    "{message}",
    "Inbound messages by the way they took: quick, or long because something was decided.",
)
quick_failures = METER.create_counter(
    "convo.quick.failures", "{failure}", "Messages that the database kept from the quick way; they took the long one."
)
duplicates = METER.create_counter("convo.duplicates", "{message}", "Messages that came again, and had one effect.")
degraded = METER.create_counter("convo.degraded", "{answer}", "Answers with the old conversation: a rollover is owed.")
opened = METER.create_counter("convo.conversations.opened", "{conversation}", "Conversations opened, by reason.")
closed = METER.create_counter("convo.conversations.closed", "{conversation}", "Conversations closed, by reason.")
seeds = METER.create_histogram(
    "convo.seed.tokens",
    "{token}",
    "Seeds of new conversations, by who made them: estimated tokens.",
    explicit_bucket_boundaries_advisory=TOKENS,
)
turns = METER.create_counter(
    "convo.turns", "{turn}", "Turns that ended, by status and, when failed, by the error's code."
)
tokens = METER.create_counter(
    "convo.tokens",
    "{token}",
    "Tokens in the ledger by kind of call and type; `baseline_input`: of one endless conversation in its place.",
)
saved = METER.create_up_down_counter(
    "convo.tokens.saved", "{token}", "Input tokens that one endless conversation would have used more; may be negative."
)
cost = METER.create_counter("convo.cost", "USD", "What calls cost by kind, and replies in one endless conversation.")
summaries = METER.create_counter(
    "convo.summaries", "{summary}", "What became of summaries by a model; but for `kept`, a digest has to do."
)
sweeps = METER.create_counter("convo.sweeps", "{sweep}", "Passes of the worker in this process, by outcome.")
openai_errors = METER.create_counter(
    "convo.openai.errors", "{call}", "Calls of OpenAI that failed, by operation and status or kind of error."
)
model_calls = METER.create_histogram(
    "gen_ai.client.operation.duration",
    "s",
    "Calls of OpenAI, by operation and kind of error.",
    explicit_bucket_boundaries_advisory=MODEL_SECONDS,
)
model_tokens = METER.create_histogram(
    "gen_ai.client.token.usage",
    "{token}",
    "Tokens of each call of a model, input and output.",
    explicit_bucket_boundaries_advisory=MODEL_TOKENS,
)

QUICK, LONG = {"path": "quick"}, {"path": "long"}


def request_done(method: str, route: str | None, status: int, seconds: float) -> None:
    """Note a request; a path that is none of ours has no route."""
    requests.record(seconds, _of_request(known(method), route or "", status))


def known(method: str) -> str:
    """A method; one of no standard may be any text, and is one of many."""
    return method if method in METHODS else "_OTHER"


@cache
def _of_request(method: str, route: str, status: int) -> dict[str, str | int]:
    """Made once for each route and status there is."""
    return {"http.request.method": method, "http.route": route, "http.response.status_code": status}
