"""The list of commands, for gateways that register them at WhatsApp."""

import pytest

from tests.gateway import Gateway, assert_problem

TOPICS = pytest.mark.parametrize("env", [{"topics": "explicit", "reset_commands": "/new,/Nuova, ricomincia,/new"}])


async def test_by_default(gateway: Gateway) -> None:
    """Each word of RESET_COMMANDS with its name at WhatsApp, and what it does."""
    found = await gateway.get("/commands")
    assert [one["command"] for one in found["data"]] == ["/new", "/nuova", "/reset"]
    assert (found["first_id"], found["last_id"], found["has_more"]) == ("/new", "/reset", False)
    assert found["data"][0] == {
        "object": "command", "command": "/new", "does": "new_conversation", "name": "new", "topics": [],
        "description": "Ricomincia da capo, con una nuova conversazione.",
    }  # fmt: skip


@TOPICS
async def test_with_topics(gateway: Gateway) -> None:
    """The topics that may follow, where there are topics; in the words of the template, which has to be there."""
    for name in ("ordini", "fatture"):
        await gateway.http.put(f"/topics/{name}", json={})
    found = await gateway.listed("/commands")
    assert [(one["command"], one["name"]) for one in found] == [
        ("/new", "new"),
        ("/nuova", "nuova"),
        ("ricomincia", None),
    ]
    assert found[0]["topics"] == ["fatture", "ordini"]
    assert found[0]["description"].endswith("Si può aggiungere un argomento: fatture, ordini")
    await gateway.http.put("/templates/english", json={"language": "en"})
    english = (await gateway.listed("/commands", template="english"))[0]["description"]
    assert english == "Starts afresh, with a new conversation. A topic may follow: fatture, ordini"
    await gateway.http.put("/templates/default", json={"language": "en"})
    assert (await gateway.listed("/commands"))[0]["description"] == english
    assert_problem(await gateway.http.get("/commands", params={"template": "vip"}), 404, "template_not_found")
    assert_problem(await gateway.http.get("/commands", params={"limit": 3}), 422, "invalid_request")
