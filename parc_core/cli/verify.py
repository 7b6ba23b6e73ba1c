"""`parc verify`."""

from __future__ import annotations

import pathlib
from typing import Any

import click

from parc_core.cli.output import make_console, print_json

__all__ = ["verify"]

_DAMAGED = 65
_SHOWN = 5  # problems of a job


@click.command()
@click.argument("run", type=click.Path(path_type=pathlib.Path))
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def verify(run: pathlib.Path, as_json: bool) -> int:
    """Compare every file of the run folder RUN with what was recorded when it was written.

    Says what is whole, damaged or missing, and the command that makes it again. Nothing is changed. The exit code is 65
    if anything is damaged.
    """
    from parc_core.runner.verify import verify as check

    document = check(run)
    if as_json:
        print_json(document)
    else:
        _render(document)
    return _DAMAGED if document["damaged"] else 0


def _render(document: dict[str, Any]) -> None:
    console = make_console()
    for row in document["jobs"]:
        console.print(f"{row['state']:<8} {row['name']}", highlight=False, soft_wrap=True)
        for text in row["problems"][:_SHOWN]:
            console.print(f"         {text}", highlight=False, soft_wrap=True, markup=False)
        if len(row["problems"]) > _SHOWN:
            console.print(
                f"         and {len(row['problems']) - _SHOWN} more; --json lists all", highlight=False
            )
        if row["command"]:
            console.print(f"         make it again: {row['command']}", highlight=False, soft_wrap=True)
    many = f"{document['damaged']} damaged or missing" if document["damaged"] else "all whole"
    console.print(f"{document['folder']}: {document['files']} files, {many}", highlight=False, soft_wrap=True)
