"""What Prometheus reads."""

from fastapi import APIRouter, Response

from convo_service.routes.deps import ANYBODY, Wired
from convo_service.telemetry import prometheus
from convo_service.telemetry.metrics import METER

SHAPE = {
    "schema": {"type": "string"},
    "example": "# TYPE convo_reserve gauge\nconvo_reserve 10\n",
}

router = APIRouter(tags=["health"])


@router.get(
    "/metrics",
    dependencies=[ANYBODY],
    summary="Metrics for Prometheus",
    response_class=Response,
    responses={200: {"description": "The text format of Prometheus", "content": {"text/plain": SHAPE}}},
)
async def read_metrics(services: Wired) -> Response:
    """Counters and histograms of this process since it started, and what the database says now. Any key may read."""
    gauges = await services.gauges.read()
    return Response(prometheus.text([*METER.instruments, *gauges]), media_type=prometheus.MEDIA_TYPE)
