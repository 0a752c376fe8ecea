"""What an operator sees of the service: logs here, `metrics` on one page, `tracing` when it is wanted."""

from convo_service.telemetry.logs import Seldom, configure_logging, crash, failure, get_logger, request_id

__all__ = ["Seldom", "configure_logging", "crash", "failure", "get_logger", "request_id"]
