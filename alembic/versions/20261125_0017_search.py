"""What messages are searched by: FTS5 on SQLite, a column of words on PostgreSQL; neither is part of the models.

A revision that makes `messages` anew on SQLite has to make the triggers anew, too.
"""

import sqlite3

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

# FTS5 finds by number, and newest first for nothing when numbers grow with time: 38 bits hold the second in which a
# message was sent, 25 its place in it. A rowid of `messages` would not do, it changes when the file is vacuumed.
SECOND = "(CAST(strftime('%s', {row}.sent_at) AS INTEGER) << 25)"
NUMBER = f"""
    UPDATE messages SET message_search_number = max({SECOND}, coalesce(
        (SELECT max(message_search_number) + 1 FROM messages WHERE message_search_number < {SECOND} + (1 << 25)), 0))
    WHERE rowid = new.rowid;
    INSERT INTO message_search (rowid, text) SELECT message_search_number, text FROM messages WHERE rowid = new.rowid;
""".replace("{row}", "new")  # noqa: S608 - our own text
FORGET = (
    "INSERT INTO message_search (message_search, rowid, text) VALUES ('delete', old.message_search_number, old.text);"
)
TRIGGERS = {
    "message_search_insert": f"AFTER INSERT ON messages BEGIN {NUMBER} END",
    "message_search_delete": f"AFTER DELETE ON messages BEGIN {FORGET} END",
    "message_search_update": f"AFTER UPDATE OF text, sent_at ON messages BEGIN {FORGET} {NUMBER} END",
}
SQLITE = (
    "ALTER TABLE messages ADD COLUMN message_search_number INTEGER",
    "UPDATE messages SET message_search_number = numbered.number FROM ("  # noqa: S608 - our own text
    f"SELECT m.rowid AS message, {SECOND.format(row='m')} - 1 + row_number() "
    "OVER (PARTITION BY strftime('%s', m.sent_at) ORDER BY m.sent_at, m.id) AS number FROM messages m"
    ") AS numbered WHERE numbered.message = messages.rowid",
    "CREATE UNIQUE INDEX ix_message_search_number ON messages (message_search_number)",
    "CREATE VIRTUAL TABLE message_search USING fts5(text, content='messages', content_rowid='message_search_number', "
    "columnsize=0, tokenize='unicode61 remove_diacritics 2')",
    "CREATE VIRTUAL TABLE message_search_terms USING fts5vocab(message_search, 'instance')",
    "INSERT INTO message_search (message_search) VALUES ('rebuild')",
    *(f"CREATE TRIGGER {name} {body}" for name, body in TRIGGERS.items()),
)
# A text is read up to where its words cannot outgrow a tsvector. The smaller the list of what GIN has not sorted in
# yet, the less each search has to read beside the index, and the shorter a message waits that fills it.
POSTGRES = (
    "ALTER TABLE messages ADD COLUMN message_search_words tsvector GENERATED ALWAYS AS (to_tsvector('italian', "
    "translate(left(text, 65536), 'ÀÁÈÉÌÍÒÓÙÚàáèéìíòóùú"
    "\u00ab\u00bb\u201c\u201d\u201e\u2018\u2019\u2013\u2014\u2026', "
    "'AAEEIIOOUUaaeeiioouu          '))) STORED",
    "CREATE INDEX ix_message_search_words ON messages USING gin (message_search_words) "
    "WITH (gin_pending_list_limit = 256)",
    "CREATE INDEX ix_message_search_sent_at ON messages (sent_at, id)",
)


def upgrade() -> None:
    op.create_index("ix_messages_id", "messages", ["id"])
    on_sqlite = op.get_context().dialect.name == "sqlite"
    for statement in SQLITE if on_sqlite else POSTGRES:
        op.execute(sa.text(statement))
    # What is deleted leaves FTS5's pages at once only since SQLite 3.42; an older one refuses the option.
    if on_sqlite and sqlite3.sqlite_version_info >= (3, 42):
        op.execute(sa.text("INSERT INTO message_search (message_search, rank) VALUES ('secure-delete', 1)"))


def downgrade() -> None:
    if op.get_context().dialect.name == "sqlite":
        for name in TRIGGERS:
            op.execute(sa.text(f"DROP TRIGGER {name}"))
        op.execute(sa.text("DROP TABLE message_search_terms"))
        op.execute(sa.text("DROP TABLE message_search"))
        op.drop_index("ix_message_search_number", "messages")
        op.drop_column("messages", "message_search_number")
    else:
        op.drop_index("ix_message_search_sent_at", "messages")
        op.drop_column("messages", "message_search_words")
    op.drop_index("ix_messages_id", "messages")
