"""The dashboard for Grafana and the README speak of metrics that there are."""

import json
import re
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from convo_service.telemetry.metrics import METER
from tests import metrics
from tests.conftest import Clock
from tests.gateway import Gateway

ROOT = Path(__file__).resolve().parents[1]
FILE = ROOT / "ops" / "grafana" / "convo.json"
DASHBOARD: dict[str, Any] = json.loads(FILE.read_text())
PARTS = ("_bucket", "_sum", "_count")
_METRIC = re.compile(r"\b(?:convo|http_server|gen_ai_client)_[a-z_]+(?=\{)")


def queries() -> list[tuple[str, str]]:
    """Every query, with the title of its panel."""
    return [(panel["title"], one["expr"]) for panel in DASHBOARD["panels"] for one in panel.get("targets", ())]


async def test_every_query_has_its_metric(gateway: Gateway, clock: Clock) -> None:
    """Whatever a panel asks for is there after a small story, or at least announced where nothing of it happened."""
    await gateway.say("Buongiorno")
    clock.advance(hours=49)
    await gateway.say("Eccomi")
    text = (await gateway.http.get("/metrics")).text
    announced = set(re.findall(r"^# TYPE (\S+) ", text, re.MULTILINE))
    there = metrics.parsed(text).names | announced | {name + part for name in announced for part in PARTS}
    asked = {name for _, query in queries() for name in _METRIC.findall(query)}
    assert asked
    assert asked - there == set()


async def test_every_metric_is_shown_and_documented(app: FastAPI) -> None:
    """Each metric has a panel, and a line in the README's table."""
    instruments = [*METER.instruments, *await app.state.services.gauges.read()]
    names = {one.exposed for one in instruments}
    shown = "\n".join(query for _, query in queries())
    assert {name for name in names if name not in shown} == set()
    table = "\n".join(line for line in (ROOT / "README.md").read_text().splitlines() if line.startswith("|"))
    assert {name for name in names if f"`{name}`" not in table} == set()
    assert all(one.description for one in instruments)


def test_it_can_be_imported() -> None:
    """It asks for the data source by a variable, has no id of one Grafana, and its panels do not overlap."""
    assert DASHBOARD["schemaVersion"] >= 42
    assert "id" not in DASHBOARD
    assert [one["name"] for one in DASHBOARD["templating"]["list"] if one["type"] == "datasource"] == ["datasource"]
    sources = {one["datasource"]["uid"] for one in DASHBOARD["panels"] if one["type"] != "row"}
    assert sources == {"${datasource}"}
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    cells = [cell for panel in DASHBOARD["panels"] for cell in _cells(panel["gridPos"])]
    assert len(cells) == len(set(cells))


def _cells(at: dict[str, int]) -> list[tuple[int, int]]:
    return [(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])]


def test_counters_are_rates() -> None:
    """A counter as it stands says nothing: each is asked for its rate."""
    for title, query in queries():
        for name in re.findall(r"(\w+)\{", query):
            if name.endswith(("_total", *PARTS)):
                assert re.search(rf"(rate|delta)\({name}\{{", query), title
