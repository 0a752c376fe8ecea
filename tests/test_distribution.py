"""Ready for a PostgreSQL that is spread over machines by user: what does not begin with her is listed, with why."""

from collections.abc import Iterator

import sqlalchemy as sa

from convo_service.db.models import Base

WITHOUT_USER = {
    "identities(value)": "a message brings a name, and the user is found by it: a table of its own, spread by name",
    "api_keys(id)": "keys belong to the installation: a reference table, on every machine",
    "api_keys(prefix)": "the same: found by what the caller shows",
    "dashboard_sessions(digest)": "who signed in is known by an HMAC of the cookie alone: spread by it",
    "erasures(id)": "a receipt names nobody: a reference table",
    "tombstones(digest)": "what was erased is known by an HMAC alone: spread by it",
    "templates(name)": "templates belong to the installation: a reference table",
    "template_versions(name,version)": "the same",
    "topics(name)": "the same",
    "installation_secrets(name)": "one row for the installation",
    "rate_counts(name,ends_at)": "counts of keys and of names that no user is looked up for: spread by name",
    "analytics_counts(metric,span,begins_at,topic,template,cohort,name)": "counts of all users, which name nobody: a "
    "small table on one machine",
    "analytics_people(day,previous,cohort)": "the same, of users by days",
    "analytics_cursors(name)": "a few rows for the installation",
    "remote_ids(remote_id)": "an id that OpenAI gives is taken once, whoever's it is: spread by id",
    "remote_garbage(remote_id)": "conversations at OpenAI that are nobody's any more: spread by id",
    "remote_reserve(remote_id)": "conversations at OpenAI that are nobody's yet: a small table on one machine",
}
BY_VALUE = {"identities.user_id -> users.id": "leads from a name to its user, wherever that is: checked by no machine"}


def _keys() -> Iterator[tuple[sa.Table, list[str]]]:
    for table in Base.metadata.sorted_tables:
        yield table, [column.name for column in table.primary_key]
        for constraint in table.constraints:
            if isinstance(constraint, sa.UniqueConstraint):
                yield table, [column.name for column in constraint.columns]
        for index in table.indexes:
            if index.unique:
                yield table, [column.name for column in index.columns]


def _begins_with_the_user(table: sa.Table, columns: list[str]) -> bool:
    return columns[0] == ("id" if table.name == "users" else "user_id")


def test_unique_keys_begin_with_the_user() -> None:
    """No machine can promise that something is unique on the others; where it has to be, the reason is known."""
    others = {f"{table.name}({','.join(key)})" for table, key in _keys() if not _begins_with_the_user(table, key)}
    assert others == WITHOUT_USER.keys()


def test_references_stay_with_the_user() -> None:
    """A foreign key begins with the user on both sides, so what belongs together lies together."""
    others = set()
    for table in Base.metadata.sorted_tables:
        for constraint in table.foreign_key_constraints:
            here, there = constraint.elements[0].parent, constraint.elements[0].column
            is_users = _begins_with_the_user(table, [here.name]) and _begins_with_the_user(there.table, [there.name])
            if not is_users or table.name == "identities":
                others.add(f"{table.name}.{here.name} -> {there.table.name}.{there.name}")
    assert others == BY_VALUE.keys()


def test_ids_are_made_here() -> None:
    """No sequence of one machine's is behind any id."""
    counted = [
        f"{table.name}.{column.name}"
        for table in Base.metadata.sorted_tables
        for column in table.columns
        if column.primary_key
        and ((isinstance(column.type, sa.Integer) and column.autoincrement is not False) or column.identity is not None)
    ]
    assert counted == []
