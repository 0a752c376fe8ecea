"""The commands `keys create`, `keys list`, `keys rotate`, `keys revoke` and `keys scopes`."""

import json
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from convo_service.cli.common import FAILED, Result, instant, on_database, read_settings, require_migrated, stop

if TYPE_CHECKING:
    from convo_service.db.models import ApiKey
    from convo_service.services.keys import Keys, Scope

MAX_NAME_CHARS = 128
MAX_DAYS = 3650

Days = Annotated[int | None, typer.Option("--expires-in-days", help="How long it is good.", min=1, max=MAX_DAYS)]
At = Annotated[str | None, typer.Option("--expires-at", help="Until when it is good, such as 2027-01-01T00:00Z.")]
Which = Annotated[str, typer.Argument(help="The id (key_...) or the prefix (csk_...).")]


def create_key(
    name: Annotated[str, typer.Option(help="Who will use it.")],
    scope: Annotated[str, typer.Option(help="gateway, dashboard or admin.")],
    expires_in_days: Days = None,
    expires_at: At = None,
) -> None:
    """Make a key; it stands alone on the last line, and cannot be shown again."""
    wanted, now = _scope(scope), _now()
    if not (name.strip() and name.isprintable() and len(name) <= MAX_NAME_CHARS):
        stop(f"--name has to be 1 to {MAX_NAME_CHARS} printable characters")
    ends = _end(expires_in_days, expires_at, now)
    row, key = _with_keys(lambda keys: keys.create(name, wanted, now=now, expires_at=ends))
    typer.echo(f"{row.id}  {row.scope}  {row.name}", err=True)
    typer.echo(key)


def list_keys(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show every key by its prefix, with its end and its last use."""
    now = _now()
    rows = _with_keys(lambda keys: keys.all())
    if as_json:
        typer.echo(json.dumps([_fields(row, now) for row in rows], indent=2, ensure_ascii=False))
        return
    for row in rows:
        used = f"used {_minute(row.last_used_at)}" if row.last_used_at else "never used"
        typer.echo(
            f"{row.id}  {row.prefix}...  {row.scope:<9}  {_minute(row.created_at)}  {_state(row, now):<24}  "
            f"{used:<21}  {row.name}"
        )


def rotate_key(
    key: Which,
    grace_hours: Annotated[
        float, typer.Option("--grace-hours", help="How long the old one is still good.", min=0, max=24 * 90)
    ] = 24,
    expires_in_days: Days = None,
    expires_at: At = None,
) -> None:
    """Make a second key of the same name and scope, alone on the last line; the old one ends after the grace."""
    now, grace = _now(), timedelta(hours=grace_hours)
    ends = _end(expires_in_days, expires_at, now)
    done = key.isprintable() and _with_keys(lambda keys: keys.rotate(key, now=now, grace=grace, expires_at=ends))
    if not done:
        stop("No key that is still good has this id or prefix; see `convo-service keys list`.", status=FAILED)
    typer.echo(f"{done.row.id}  {done.row.scope}  {done.row.name}", err=True)
    typer.echo(f"the old one expires {_minute(done.old_expires_at)} UTC", err=True)
    typer.echo(done.key)


def revoke_key(key: Which) -> None:
    """Revoke a key; every replica refuses it within five seconds."""
    if not key.isprintable() or not _with_keys(lambda keys: keys.revoke(key, now=_now())):
        stop("No key has this id or prefix; see `convo-service keys list`.", status=FAILED)
    typer.echo("revoked")


def show_scopes() -> None:
    """Show which scopes may call which route, as the published contract has it."""
    from convo_service.app import create_app
    from convo_service.services.keys import Scope

    paths = create_app(read_settings()).openapi()["paths"]
    typer.echo("  ".join(Scope) + "  route")
    for path, operations in sorted(paths.items()):
        for method, operation in operations.items():
            marks = "  ".join(f"{_mark(operation, scope):<{len(scope)}}" for scope in Scope)
            typer.echo(f"{marks}  {method.upper():<6} {path}")


def _mark(operation: dict[str, Any], scope: "Scope") -> str:
    security = operation.get("security")
    if not security:
        return "no key"
    return "yes" if scope in security[0]["key"] else "-"


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


def _now() -> datetime:
    from convo_service.app import utc_now

    return utc_now()


def _end(days: int | None, at: str | None, now: datetime) -> datetime | None:
    if days is not None and at is not None:
        stop("Give --expires-in-days or --expires-at, not both")
    if at is None:
        return None if days is None else now + timedelta(days=days)
    ends = instant(at, "--expires-at")
    if ends <= now:
        stop("--expires-at has to lie in the future")
    return ends


def _fields(row: "ApiKey", now: datetime) -> dict[str, Any]:
    times = {name: getattr(row, name) for name in ("created_at", "expires_at", "revoked_at", "last_used_at")}
    told = {name: at and at.isoformat().replace("+00:00", "Z") for name, at in times.items()}
    return {
        "id": row.id, "prefix": row.prefix, "name": row.name, "scope": row.scope, "is_live": row.is_live(now), **told,
    }  # fmt: skip


def _state(row: "ApiKey", now: datetime) -> str:
    if row.revoked_at is not None:
        return f"revoked {_minute(row.revoked_at)}"
    if row.expires_at is None:
        return "active"
    return f"{'expires' if row.is_live(now) else 'expired'} {_minute(row.expires_at)}"


def _minute(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}"
