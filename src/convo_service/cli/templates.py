"""The commands `templates install` and `templates list`."""

from typing import TYPE_CHECKING, Annotated

import typer

from convo_service.cli.common import on_database, read_settings, require_migrated, stop

if TYPE_CHECKING:
    from convo_service.db.engine import Database
    from convo_service.services.templates import Installed

Languages = Annotated[
    list[str] | None, typer.Option("--language", help="it or en, as often as wanted; else SUMMARY_LANGUAGE.")
]


def install_templates(
    language: Languages = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Also those that are there: the shipped text becomes their next version.")
    ] = False,
) -> None:
    """Install the templates `support` and `sales`; what is there already stays as it is.

    Those of SUMMARY_LANGUAGE are called so, those of the other language `support-en` or `support-it`.
    """
    from convo_service.app import utc_now
    from convo_service.services import templates
    from convo_service.shipped import LANGUAGES

    settings = read_settings()
    wanted = list(dict.fromkeys(language or [settings.summary_language]))
    if unknown := [one for one in wanted if one not in LANGUAGES]:
        stop(f"--language has to be one of: {', '.join(LANGUAGES)}; not {unknown[0]!r}")
    require_migrated(settings)

    async def install(database: "Database") -> "list[Installed]":
        async with database.write.begin() as tx:
            return await templates.install(
                tx, wanted, plain=settings.summary_language, may_replace=replace, now=utc_now()
            )

    for one in on_database(settings, install):
        typer.echo(f"{one.name:<12} version {one.version:<4} {one.done}")


def list_templates() -> None:
    """Show every template in its current version, and how long its instructions are."""
    from convo_service.services import templates

    settings = read_settings()
    require_migrated(settings)

    async def read(database: "Database") -> list[str]:
        async with database.read.begin() as tx:
            return [
                f"{one.name:<24} version {one.version:<4} {one.created_at:%Y-%m-%d %H:%M}  {one.language or '-':<3} "
                f"{one.model or '-':<16} {len(one.instructions or ''):>6,} characters"
                for one in await templates.all_current(tx)
            ]

    for line in on_database(settings, read):
        typer.echo(line)
