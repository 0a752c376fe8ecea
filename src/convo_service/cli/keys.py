"""The commands `keys create`, `keys list` and `keys revoke`."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated

import typer

from convo_service.cli.common import FAILED, Result, on_database, read_settings, require_migrated, stop

if TYPE_CHECKING:
    from convo_service.services.keys import Keys, Scope

MAX_NAME_CHARS = 128


def create_key(
    name: Annotated[str, typer.Option(help="Who will use it.")],
    scope: Annotated[str, typer.Option(help="gateway, dashboard or admin.")],
) -> None:
    """Make a key; it stands alone on the last line, and cannot be shown again."""
    from convo_service.app import utc_now

    wanted = _scope(scope)
    if not (name.strip() and name.isprintable() and len(name) <= MAX_NAME_CHARS):
        stop(f"--name has to be 1 to {MAX_NAME_CHARS} printable characters")
    row, key = _with_keys(lambda keys: keys.create(name, wanted, now=utc_now()))
    typer.echo(f"{row.id}  {row.scope}  {row.name}", err=True)
    typer.echo(key)


def list_keys() -> None:
    """Show every key by its prefix."""
    for row in _with_keys(lambda keys: keys.all()):
        state = "active" if row.revoked_at is None else f"revoked {row.revoked_at:%Y-%m-%d %H:%M}"
        typer.echo(f"{row.id}  {row.prefix}...  {row.scope:<9}  {row.created_at:%Y-%m-%d %H:%M}  {state}  {row.name}")


def revoke_key(key: Annotated[str, typer.Argument(help="The id (key_...) or the prefix (csk_...).")]) -> None:
    """Revoke a key; every replica refuses it within five seconds."""
    from convo_service.app import utc_now

    if not key.isprintable() or not _with_keys(lambda keys: keys.revoke(key, now=utc_now())):
        stop("No key has this id or prefix; see `convo-service keys list`.", status=FAILED)
    typer.echo("revoked")


def _with_keys(work: "Callable[[Keys], Awaitable[Result]]") -> Result:
    from convo_service.services.keys import Keys

    settings = read_settings()
    require_migrated(settings)
    return on_database(settings, lambda database: work(Keys(database, settings)))


def _scope(name: str) -> "Scope":
    from convo_service.services.keys import Scope

    try:
        return Scope(name)
    except ValueError:
        stop(f"--scope has to be one of: {', '.join(Scope)}")
