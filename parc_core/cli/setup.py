"""`parc setup`."""

from __future__ import annotations

import pathlib

import click

from parc_core.cli.output import make_console, print_json, render_plan, set_option

__all__ = ["setup"]


@click.command()
@click.argument("path", metavar="FILE", type=click.Path(path_type=pathlib.Path))
@set_option
@click.option(
    "--iterations", type=click.IntRange(min=1), help="How many iterations, instead of the file's number."
)
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
def setup(path: pathlib.Path, overrides: tuple[str, ...], iterations: int | None, as_json: bool) -> None:
    """Write the run folder and the settings of each stage, and run nothing.

    Afterwards any stage or batch can run by itself, also on another machine that sees the folder:
    parc run RUNFOLDER --only kin_gen --batch 3
    """
    from parc_core.runner.setup import write_setup

    plan = write_setup(path, overrides, iterations)
    if as_json:
        print_json(plan)
    else:
        render_plan(plan, make_console())
