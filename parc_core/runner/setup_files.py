"""The folder `setup` of a run: a file per stage, a file per batch, and scripts with the commands of all jobs."""

from __future__ import annotations

import json
import pathlib
import shlex
import sys
from collections.abc import Sequence
from typing import Any

from parc_core.config import STAGES, StageFile, dump, dump_yaml, read_stage_file
from parc_core.errors import ConfigError
from parc_core.interfaces import JobSpec
from parc_core.stages import kin_gen
from parc_core.stages.context import Reporter, RunContext
from parc_core.stages.parts import batches
from parc_motion import storage

__all__ = ["commands_of", "write_setup_files"]

_SHOWN = 5  # changes that a message names


def commands_of(runs: Sequence[RunContext]) -> list[dict[str, Any]]:
    """A row per job in the order of the work: ``iteration``, ``stage``, ``batch`` (None but in kin_gen), ``command``.

    Args:
        runs: the iterations of a run, in order.
    """
    rows: list[dict[str, Any]] = []
    for run in runs:
        for stage in STAGES:
            parts: Sequence[int | None] = [None]
            if stage == kin_gen.STAGE:
                parts = range(len(batches(run)))
            rows += [_row(run, stage, part) for part in parts]
    return rows


def write_setup_files(runs: Sequence[RunContext], reporter: Reporter) -> None:
    """Write the folder; files that are right stay, and those of stages and batches that there are not go.

    Args:
        runs: the iterations of a run, in order.
        reporter: is told of edits in the files of stages that are replaced.
    """
    folder = runs[0].run_folder.path / "setup"
    texts = {**_stage_files(runs), **_job_files(runs)}
    texts["commands.sh"] = _commands(runs)
    texts["submit.sbatch"] = _submit(runs)
    for file in [*folder.glob("*.yaml"), *folder.glob("from_*/*.yaml"), *folder.glob("jobs/*.json")]:
        if file.relative_to(folder).as_posix() not in texts:
            storage.remove(file)
    for name, text in texts.items():
        file = folder / name
        if file.is_file() and file.read_text() == text:
            continue
        if file.is_file() and file.suffix == ".yaml":
            _tell_of_edits(file, runs[0], reporter)
        storage.write_text(file, text)
        if file.suffix == ".sh":
            file.chmod(0o755)
    storage.make_folder(runs[0].run_folder.logs)


def _row(run: RunContext, stage: str, batch: int | None) -> dict[str, Any]:
    words = ["parc", "run", str(run.run_folder.path), "--only", stage, "--iteration", str(run.iteration)]
    if batch is not None:
        words += ["--batch", str(batch)]
    return {"iteration": run.iteration, "stage": stage, "batch": batch, "command": shlex.join(words)}


def _stage_files(runs: Sequence[RunContext]) -> dict[str, str]:
    """The files of all stages, and again of those that an iteration changes: text by name in the folder."""
    texts: dict[str, str] = {}
    before: dict[str, Any] = {}
    settings = runs[0].settings
    for number in (1, *(number for number in sorted(settings.from_) if number <= len(runs))):
        plain = dump(settings.at(number))
        place = f"from_{number}/" if number > 1 else ""
        for stage in STAGES:
            if plain[stage] == before.get(stage):
                continue
            head = {"run": "../.." if place else "..", "only": stage, "iteration": number}
            heading = (
                f"Carries out {stage} of iteration {number}: parc run "
                f"{shlex.quote(str(runs[0].run_folder.path / 'setup' / place / stage))}.yaml\n"
                "Settings that are changed here hold as if --set gave them; what is left out is as in the run."
            )
            texts[f"{place}{stage}.yaml"] = dump_yaml({**head, stage: plain[stage]}, heading)
        before = plain
    return texts


def _job_files(runs: Sequence[RunContext]) -> dict[str, str]:
    """The batches of all iterations as `parc job run` takes them: text by name in the folder."""
    jobs = [job for run in runs for job in batches(run)]
    return {f"jobs/{_job_name(job)}": json.dumps(job.plain(), indent=1) + "\n" for job in jobs}


def _job_name(job: JobSpec) -> str:
    return f"iter_{job.iteration:03d}-{job.stage}-{job.part or 0:03d}.json"


def _commands(runs: Sequence[RunContext]) -> str:
    """A shell script that carries out the whole run, one job after the other."""
    lines = [
        "#!/bin/sh",
        f"# Every job of run {runs[0].settings.name}, in order; what is finished is skipped. Written by parc setup.",
        "# Batches of kin_gen are independent of each other; other stages need what is above them.",
        "set -e",
        *_surroundings(),
    ]
    submit = runs[0].run_folder.path / "setup" / "submit.sbatch"
    stage = None
    for row in commands_of(runs):
        if (row["iteration"], row["stage"]) != stage:
            stage = row["iteration"], row["stage"]
            lines += ["", f"# iteration {row['iteration']}, {row['stage']}"]
            if row["stage"] == kin_gen.STAGE:
                last = len(batches(runs[row["iteration"] - 1])) - 1
                words = ["sbatch", "--wait", f"--array=0-{last}", str(submit), str(row["iteration"])]
                lines.append(f"# with Slurm, instead of these lines: {shlex.join(words)}")
        lines.append(row["command"])
    return "\n".join(lines) + "\n"


def _submit(runs: Sequence[RunContext]) -> str:
    """A Slurm script for the batches of one iteration, the first by default."""
    run = runs[0]
    folder = run.run_folder.path.absolute()
    jobs = shlex.quote(str(folder / "setup" / "jobs"))
    again = shlex.join(["sbatch", "--array=0-LAST", str(folder / "setup" / "submit.sbatch"), "ITERATION"])
    lines = [
        "#!/bin/sh",
        f"#SBATCH --job-name={run.settings.name}",
        f"#SBATCH --array=0-{len(batches(run)) - 1}",
        f"#SBATCH --output={shlex.quote(str(folder / 'logs' / 'slurm-%A_%a.txt'))}",
        "# The batches of kin_gen of iteration 1, or of another one; commands.sh has the number of its last batch:",
        f"# {again}",
        "# Written by parc setup.",
        "set -e",
        *_surroundings(),
        'iteration=$(printf %03d "${1:-1}")',
        'batch=$(printf %03d "$SLURM_ARRAY_TASK_ID")',
        f'parc job run {jobs}/"iter_$iteration-{kin_gen.STAGE}-$batch.json"',
    ]
    return "\n".join(lines) + "\n"


def _surroundings() -> list[str]:
    """The current folder, from which settings name files, and the PARC that writes this."""
    return [
        f"cd {shlex.quote(str(pathlib.Path.cwd()))}",
        f'parc() {{ {shlex.quote(sys.executable)} -m parc_core.cli.main "$@"; }}',
    ]


def _tell_of_edits(file: pathlib.Path, run: RunContext, reporter: Reporter) -> None:
    """Say which settings in the file of a stage are replaced: edits that no command has taken over."""
    try:
        known: StageFile | None = read_stage_file(file)
    except ConfigError as err:
        reporter.message("setup", f"{file} is written again; it could not be read: {err}")
        return
    changes = [] if known is None else known.changes(run.settings)
    if changes:
        more = f" and {len(changes) - _SHOWN} more" if len(changes) > _SHOWN else ""
        text = ", ".join(f"{one.name} {one.file_has} -> {one.run_has}" for one in changes[:_SHOWN])
        reporter.message("setup", f"{file} is written again with the settings of the run: {text}{more}")
