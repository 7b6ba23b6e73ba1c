"""`parc info`."""

from __future__ import annotations

import pathlib

import click

from parc_core.cli.output import make_console, print_json

__all__ = ["info"]


@click.command()
@click.argument("path", type=click.Path(path_type=pathlib.Path))
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def info(path: pathlib.Path, as_json: bool) -> None:
    """Say what lies at PATH: a run folder, a clip or a folder of clips, a data set, a policy, a generator."""
    from parc_core.runner.info import describe, render

    document = describe(path)
    if as_json:
        print_json(document)
    else:
        render(document, make_console())
