"""`parc setup`."""

from __future__ import annotations

import pathlib

import click

from parc_core.cli.output import make_console, print_json, render_plan, set_option
from parc_core.cli.progress import console_reporter

__all__ = ["setup"]


@click.command()
@click.argument("path", metavar="FILE|RUNFOLDER", type=click.Path(path_type=pathlib.Path))
@set_option
@click.option(
    "--iterations",
    type=click.IntRange(min=1),
    help="Number of iterations, instead of the file's; the run folder keeps it.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the plan and the commands as JSON.")
@click.pass_context
def setup(
    ctx: click.Context,
    path: pathlib.Path,
    overrides: tuple[str, ...],
    iterations: int | None,
    as_json: bool,
) -> None:
    """Prepare a run, and print the command of every job.

    Imports the motions, writes the data set and the caches that trainings read, and trains nothing. The folder setup
    in the run folder gets a file per stage, which can be edited and given to parc run, a file per batch for parc job
    run, a script with all commands, and one that submits the batches to Slurm.

    Afterwards any stage or batch can run by itself, also on another machine that sees the folder. parc run RUNFOLDER
    carries out all of them.
    """
    from parc_core.runner.setup import set_up

    with console_reporter(debug=bool(ctx.find_root().params.get("debug"))) as reporter:
        plan = set_up(path, overrides=overrides, iterations=iterations, reporter=reporter)
    if as_json:
        print_json(plan)
        return
    render_plan(plan, make_console())
    for row in plan["commands"]:
        click.echo(row["command"])
