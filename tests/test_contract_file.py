"""What is published of the contract: examples that keep it, and a page that shows it under a strict policy."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest

from convo_service.app import create_app
from convo_service.routes.contract import EXAMPLES, TAGS
from convo_service.routes.docs import FILES, STATIC
from convo_service.settings import Settings
from tests.gateway import assert_problem
from tests.test_openapi import OPERATIONS, SHAPES, published

COMMITTED = Path(__file__).resolve().parents[1] / "docs" / "openapi.json"
_ROW = re.compile(r"^\| (\S+) \| (\S+ \S+) \| ([^|]+) \| `([0-9a-f]{64})` \|$", re.MULTILINE)


@pytest.mark.parametrize("name", [name for name, shape in SHAPES.items() if "example" in shape])
def test_an_example_keeps_its_schema(name: str) -> None:
    """Whatever is shown as an example could be sent, or answered."""
    schema = {"$ref": f"#/components/schemas/{name}", "components": published()["components"]}
    jsonschema_rs.validate(schema, SHAPES[name]["example"], validate_formats=False)


def test_the_committed_document(tmp_path: Path) -> None:
    """`docs/openapi.json` is what the service publishes with the settings that it comes with."""
    now = create_app(Settings(_env_file=None, database_url=f"sqlite:///{tmp_path / 'convo.db'}")).openapi()
    committed = json.loads(COMMITTED.read_text(encoding="utf-8"))
    assert committed == now, "the contract has changed; if it should, run: convo-service openapi > docs/openapi.json"


def test_every_example_is_of_a_schema() -> None:
    """An example of nothing is a typing error, or left over."""
    assert set(_examples()) - SHAPES.keys() == set()


def _examples() -> dict[str, Any]:
    return dict(json.loads(EXAMPLES.read_text(encoding="utf-8")))


def test_every_tag_is_described() -> None:
    """A group of operations says what it is about; routes.contract has the list."""
    assert {tag for _, _, operation in OPERATIONS for tag in operation["tags"]} == TAGS.keys()


async def test_the_page(http: httpx.AsyncClient) -> None:
    """`/docs` needs no key, loads what is here and nothing else, and may run no script that is not a file."""
    page = await http.get("/docs")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "unsafe" not in policy
    assert re.findall(r"<script(?! src=)|<style|style=|\son\w+=|https?://", page.text) == []
    for name in re.findall(r'(?:src|href)="docs/([^"]+)"', page.text):
        file = await http.get(f"/docs/{name}")
        assert (file.status_code, file.headers["x-content-type-options"]) == (200, "nosniff")
    assert_problem(await http.get("/docs/secrets"), 404, "not_found")


async def test_the_pages_files_are_those_of_the_page(http: httpx.AsyncClient) -> None:
    """Every file that is served is there, and the page's own script names no other host."""
    assert all(path.is_file() for path, _ in FILES.values())
    assert "://" not in (STATIC / "docs.js").read_text()


def test_files_of_others_are_as_they_came() -> None:
    """Each is the one whose hash and licence the list beside it names."""
    folder = STATIC / "lib"
    rows = _ROW.findall((folder / "README.md").read_text())
    assert {name for name, *_ in rows} == {path.name for path in folder.iterdir() if path.suffix in (".js", ".css")}
    for name, _, licence, digest in rows:
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
        for file in re.findall(r"[\w.-]+\.(?:LICENSE(?:\.txt)?|NOTICE)", licence):
            assert (folder / file).is_file()
