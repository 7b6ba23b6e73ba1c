"""Parts that several verbs use: the option `--set`, JSON on stdout, a console, the table of a plan."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["make_console", "print_json", "render_plan", "set_option"]

set_option = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change one setting, e.g. kin_gen.selector.use=first. May be repeated.",
)

_READER_GONE = 141
_PLAIN_WIDTH = 140  # columns of a table that goes into a file or pipe


def make_console() -> Console:
    """A console on stdout; without a terminal it prints plain text of a fixed width."""
    from rich.console import Console

    class Quitting(Console):
        def on_broken_pipe(self) -> None:
            try:
                super().on_broken_pipe()
            except SystemExit:  # Rich ends with 1, which would be an error
                raise SystemExit(_READER_GONE) from None

    return Quitting(width=None if sys.stdout.isatty() else _PLAIN_WIDTH)


def print_json(value: Any) -> None:
    """The value as JSON on stdout."""
    click.echo(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False, default=str))


def render_plan(plan: dict[str, Any], console: Console) -> None:
    """The jobs of a plan, as `parc_core.runner.run.plan` gives it."""
    from rich.table import Table

    table = Table(
        "iteration",
        "stage",
        "folder",
        "state",
        "differs from the settings in",
        title=f"{plan['name']}: {plan['folder']}",
        title_justify="left",
    )
    for job in plan["jobs"]:
        changed = "\n".join([*job["changed"], *([job["note"]] if job["note"] else [])])
        table.add_row(str(job["iteration"]), job["stage"], job["folder"], job["state"], changed)
    console.print(table)
