"""Slurm's commands."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence

from parc_core.errors import ConfigError, ProviderUnavailable

__all__ = ["cancel", "require", "states", "submit", "why_it_ended"]

_NEEDED = ("sbatch", "squeue", "scancel", "scontrol")
_TIMEOUT_S = 60.0
# sbatch takes these from the environment, so a run that is itself a job would hand its own on
_INHERITED = re.compile(r"(SLURM|SBATCH)_(?!CONF$)")


def require() -> None:
    """Passes if Slurm's commands are installed here.

    Raises:
        ProviderUnavailable: one is missing.
    """
    missing = [name for name in _NEEDED if shutil.which(name) is None]
    if missing:
        raise ProviderUnavailable(
            f"executor 'slurm' of parc-slurm cannot work: {', '.join(missing)} cannot be found.\n"
            "  to do       start the run on a login node of the cluster, or take executor: local"
        )


def submit(options: Sequence[str], script: str) -> str:
    """Submit a script; returns the id of the job.

    Raises:
        ConfigError: Slurm refused it.
    """
    found = _call(["sbatch", "--parsable", *options], script)
    if found.returncode != 0:
        reason = (found.stderr or found.stdout).strip().splitlines() or ["no reason given"]
        raise ConfigError(
            f"executor slurm: sbatch refused the jobs: {reason[-1]}. Correct the settings under `executor`."
        )
    return found.stdout.strip().splitlines()[-1].partition(";")[0]


def states(job_ids: Iterable[str]) -> dict[str, tuple[str, str]] | None:
    """``<job>_<task>`` -> (state, node) of the tasks that wait or run; None if the queue cannot be read now."""
    ids = ",".join(sorted(set(job_ids)))
    found = _call(["squeue", "--noheader", "--array", "--jobs", ids, "--format=%F_%K|%T|%N"])
    if found.returncode != 0:
        # Slurm forgets jobs some minutes after they have ended
        return {} if "Invalid job id" in found.stderr else None
    rows = [line.split("|") for line in found.stdout.splitlines() if line.count("|") == 2]
    return {task.strip(): (state, node) for task, state, node in rows if state not in ("COMPLETED",)}


def cancel(tasks: Sequence[str], *, signal: str | None = None, pending: bool = False) -> None:
    """Cancel tasks, or send a signal to their scripts.

    Args:
        pending: only those that do not run yet.
    """
    options = ["--batch", f"--signal={signal}"] if signal else []
    options += ["--state=PENDING"] if pending else []
    for first in range(0, len(tasks), 200):
        _call(["scancel", *options, *tasks[first : first + 200]])


def why_it_ended(task: str) -> str:
    """State and exit code of a task that has ended, as far as Slurm remembers."""
    if shutil.which("sacct") is not None:
        found = _call(["sacct", "--noheader", "--parsable2", "--format=State,ExitCode", "--jobs", task])
        rows = [line.split("|") for line in found.stdout.splitlines() if "|" in line]
        if found.returncode == 0 and rows:
            return f"state {rows[0][0]}, exit code {rows[0][1]}"
    found = _call(["scontrol", "--oneliner", "show", "job", task])
    fields = dict(word.split("=", 1) for word in found.stdout.split() if "=" in word)
    if "JobState" not in fields:
        return "state unknown"
    return f"state {fields['JobState']}, exit code {fields.get('ExitCode', 'unknown')}"


def _call(command: Sequence[str], stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    import os

    environ = {name: value for name, value in os.environ.items() if not _INHERITED.match(name)}
    try:
        return subprocess.run(
            command, input=stdin, capture_output=True, text=True, env=environ, timeout=_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(
            command, 1, "", f"{command[0]} gave no answer for {_TIMEOUT_S:.0f} s"
        )
