"""`parc run`."""

from __future__ import annotations

import os
import pathlib
from typing import Any

import click

from parc_core.cli.output import make_console, print_json, render_plan, set_option
from parc_core.cli.progress import console_reporter
from parc_core.config import STAGES

__all__ = ["run"]


@click.command()
@click.argument("path", metavar="FILE|RUNFOLDER|STAGEFILE", type=click.Path(path_type=pathlib.Path))
@set_option
@click.option("--only", type=click.Choice(STAGES), help="Run this stage alone.")
@click.option(
    "--iteration",
    type=click.IntRange(min=1),
    help="With --only or --redo: the stage of this iteration, counted from 1. By default the last one.",
)
@click.option(
    "--batch", type=click.IntRange(min=0), help="With --only kin_gen: this batch alone, counted from 0."
)
@click.option("--resume", is_flag=True, help="Continue a run that exists; never begin a new one.")
@click.option(
    "--iterations",
    type=click.IntRange(min=1),
    help="Number of iterations, instead of the file's; the run folder keeps it.",
)
@click.option(
    "--redo",
    type=click.Choice(("inputs", *STAGES, "all")),
    help="Make finished work again: this stage of the last iteration (or of --iteration) and those after it, the "
    "inputs alone, or all. What it replaces is kept in the folder superseded.",
)
@click.option("--dry-run", is_flag=True, help="Check everything and say what would be done.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.pass_context
def run(
    ctx: click.Context, path: pathlib.Path, overrides: tuple[str, ...], as_json: bool, **choices: Any
) -> None:
    """Carry out an iteration file, or continue the run in a folder; or carry out the stage in a file of `parc setup`.

    Finished work is skipped, even if settings have changed since; changed settings apply from the first unfinished job
    on. A run that was stopped or killed continues from its last checkpoint. Ctrl-C stops at the next safe point, a
    second Ctrl-C at once.

    Started by torchrun in several processes, the main one carries out the run, and the others take part in its
    trainings.
    """
    from parc_core.runner.run import run_file
    from parc_core.stages.group import under_torchrun

    if under_torchrun(os.environ) and os.environ["RANK"] != "0" and not choices["dry_run"]:
        from parc_core.runner.rank import follow

        follow()
        return
    debug = bool(ctx.find_root().params.get("debug"))
    with console_reporter(debug=debug) as reporter:
        report = run_file(path, overrides=overrides, reporter=reporter, **choices)
    if as_json:
        print_json(report)
    elif choices["dry_run"]:
        render_plan(report, make_console())
    else:
        from parc_core.runner.info import render

        render(report, make_console())
