"""`parc job`: single jobs of a run, for schedulers and for machines that do not share the run folder."""

from __future__ import annotations

import pathlib
from typing import NoReturn

import click

from parc_core.cli.output import print_json

__all__ = ["job"]


@click.group()
def job() -> None:
    """Carry out single jobs of a run, here or on another machine."""


@job.command("run")
@click.argument("file", type=click.Path(path_type=pathlib.Path, dir_okay=False))
@click.option(
    "--threads", type=click.IntRange(min=0), default=0, help="Simulator threads. 0 takes the run's number."
)
@click.option(
    "--json-lines",
    is_flag=True,
    help="Write progress, messages, log records and the result to stdout, one JSON object per line, and end when stdin "
    "is closed: for programs that start this command.",
)
@click.pass_context
def run_job_file(ctx: click.Context, file: pathlib.Path, threads: int, json_lines: bool) -> None:
    """Carry out the job in FILE, and print how it ended as JSON.

    FILE is a job (.json) whose run folder is seen here, or an exported job (.zip); the result of FILE.zip is written
    to FILE.result.zip. SIGTERM stops the job at its next safe point; the same command continues it.
    """
    from parc_core.cli.progress import console_reporter
    from parc_core.runner.job_files import carry_out_file

    if json_lines:
        _run_with_lines(file, threads)
    with console_reporter(debug=bool(ctx.find_root().params.get("debug"))) as reporter:
        result = carry_out_file(file, reporter, threads)
    print_json(result.plain())
    if result.state != "finished":
        click.echo(result.error, err=True)
        raise click.exceptions.Exit(result.exit_code)


def _run_with_lines(file: pathlib.Path, threads: int) -> NoReturn:
    from parc_core.interfaces import JobResult
    from parc_core.runner.job_files import carry_out_file
    from parc_core.runner.worker import end_with_stdin, open_wire
    from parc_motion.errors import ParcError

    end_with_stdin()
    wire = open_wire()
    try:
        result = carry_out_file(file, wire, threads)
    except ParcError as err:  # there is no job in the file: this, too, is told as a result
        result = JobResult(state="failed", error=str(err), exit_code=err.exit_code)
    wire.end("result", result.plain())
    raise click.exceptions.Exit(result.exit_code)


@job.command("export")
@click.argument("run", metavar="RUNFOLDER", type=click.Path(path_type=pathlib.Path, file_okay=False))
@click.option("--stage", type=click.Choice(("kin_gen", "phys_record")), required=True)
@click.option("--part", type=click.IntRange(min=0), required=True, help="Batch or chunk, counted from 0.")
@click.option("--iteration", type=click.IntRange(min=1), help="Counted from 1; by default the last one.")
@click.option("-o", "--output", type=click.Path(path_type=pathlib.Path, dir_okay=False), required=True)
def export_file(
    run: pathlib.Path, stage: str, part: int, iteration: int | None, output: pathlib.Path
) -> None:
    """Write a job with everything that it needs into one file, for a machine that does not see the run folder."""
    from parc_core.runner.transport import export_job
    from parc_motion.storage import write_bytes

    write_bytes(output, export_job(run, stage, part, iteration))
    click.echo(f"{output}; carry it out with: parc job run {output}")


@job.command("import")
@click.argument("run", metavar="RUNFOLDER", type=click.Path(path_type=pathlib.Path, file_okay=False))
@click.argument(
    "results",
    nargs=-1,
    required=True,
    metavar="RESULT...",
    type=click.Path(path_type=pathlib.Path, exists=True),
)
def import_files(run: pathlib.Path, results: tuple[pathlib.Path, ...]) -> None:
    """Take over jobs that were finished elsewhere.

    RESULT is what `parc job run` wrote for an exported job (.result.zip), or a copy of this run folder in which jobs
    were carried out. What is finished here stays as it is.
    """
    from parc_core.runner.transport import MAX_BYTES, import_folder, import_result
    from parc_motion.storage import read_file

    for result in results:
        if result.is_dir():
            taken = import_folder(run, result)
        else:
            taken = import_result(run, read_file(result, MAX_BYTES, "results of jobs"))
        for name in taken:
            click.echo(name)
