"""Executor `slurm`: jobs of a run as array jobs; their results lie in the run folder, which the nodes must see."""

from __future__ import annotations

import json
import logging
import pathlib
import shlex
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import attrs

from parc_core.interfaces import Executor, ExecutorContext, JobResult, JobSpec
from parc_motion import storage
from parc_slurm import commands
from parc_slurm.config import SlurmConfig

__all__ = ["SlurmExecutor"]

log = logging.getLogger(__name__)

_MISSED = (
    2  # looks at the queue without a task and its result, until it counts as dead: file systems lag behind
)
_SHOWN = 300  # characters of what a dead task wrote last

_SCRIPT = """#!/bin/bash
{setup}
cd {cwd} || exit 1
job=$(sed -n "$((SLURM_ARRAY_TASK_ID + 1))p" {tasks})
trap 'kill -TERM $child 2> /dev/null' TERM
{command} "$job.json" --threads {threads} > "$job.tmp" 2>> "$job.log" &
child=$!
while true; do
  wait $child
  code=$?
  kill -0 $child 2> /dev/null || break
done
mv -f "$job.tmp" "$job.result.json"
exit $code
"""


@attrs.define
class _Task:
    """A job in the queue."""

    index: int  # of the job
    name: str  # "<job>_<task>" in Slurm
    tries: int
    running: bool = False
    missed: int = 0


class SlurmExecutor(Executor):
    """Submits jobs with sbatch and waits for their results; the state of the queue only tells who has died.

    Each call has a folder ``jobs/<id>`` in the run folder, with the description, log and result of every job; it is
    removed when all have finished.
    """

    def __init__(self, config: SlurmConfig) -> None:
        commands.require()
        self.config = config

    def run(self, jobs: Sequence[JobSpec], ctx: ExecutorContext) -> Iterator[tuple[int, JobResult]]:
        """(index, result) as jobs end."""
        if not jobs:
            return
        call = _Call(self.config, jobs, ctx)
        finished = 0
        try:
            for index, result in call.results():
                finished += result.state == "finished"
                yield index, result
        finally:
            call.end()
        if finished == len(jobs):
            storage.remove(call.folder)


class _Call:
    """The jobs of one call of the executor."""

    def __init__(self, config: SlurmConfig, jobs: Sequence[JobSpec], ctx: ExecutorContext) -> None:
        self.config, self.jobs, self.ctx = config, jobs, ctx
        self.folder = pathlib.Path(jobs[0].run).absolute() / "jobs" / uuid.uuid4().hex[:8]
        self.tasks: list[_Task] = []
        self.submissions = 0
        for index, job in enumerate(jobs):
            storage.write_json(self._file(index, "json"), job.plain())

    def results(self) -> Iterator[tuple[int, JobResult]]:
        """(index, result) as jobs end."""
        if self.ctx.should_stop():
            yield from ((index, _STOPPED) for index in range(len(self.jobs)))
            return
        self._submit([(index, 0) for index in range(len(self.jobs))])
        told = False
        while self.tasks:
            if self.ctx.should_stop() and not told:
                told = True
                names = [task.name for task in self.tasks]
                commands.cancel(names, pending=True)
                commands.cancel(names, signal="TERM")
            self._pause(told)
            queue = commands.states(task.name.partition("_")[0] for task in self.tasks)
            again: list[tuple[int, int]] = []
            for task in list(self.tasks):
                result = self._result(task, queue)
                if result is None:
                    continue
                self.tasks.remove(task)
                if result.state == "stopped" and not self.ctx.should_stop():
                    self.ctx.message(
                        f"{self.jobs[task.index].name}: stopped by Slurm; it is submitted again."
                    )
                    again.append((task.index, task.tries))
                elif result.state == "lost" and self.ctx.should_stop():
                    yield task.index, _STOPPED
                elif result.state == "lost" and task.tries < self.config.retries:
                    self.ctx.message(f"{self.jobs[task.index].name}: {result.error}. It is submitted again.")
                    again.append((task.index, task.tries + 1))
                else:
                    yield task.index, result
            if again:
                self._submit(again)

    def _pause(self, told: bool) -> None:
        """Until the next look at the queue: soon if the user asks to stop in between, and often once tasks are told."""
        until = time.monotonic() + (min(_STOPPING_S, self.config.poll_s) if told else self.config.poll_s)
        while (left := until - time.monotonic()) > 0 and (told or not self.ctx.should_stop()):
            time.sleep(min(left, _STOPPING_S))

    def end(self) -> None:
        """Take what is left out of the queue."""
        if self.tasks:
            commands.cancel([task.name for task in self.tasks])

    def _result(self, task: _Task, queue: dict[str, tuple[str, str]] | None) -> JobResult | None:
        """How the job of a task ended; None if it goes on, or that is not known yet."""
        path, job = self._file(task.index, "result.json"), self.jobs[task.index]
        if path.is_file():
            try:
                result = JobResult(**json.loads(path.read_text()))
            except (ValueError, TypeError):
                return self._lost(task)
            storage.remove(path)
            self.ctx.update(job, 1.0, 1.0, f"{job.name}: {result.state}")
            return result
        if queue is None:
            return None
        if task.name not in queue:
            task.missed += 1
            return self._lost(task) if task.missed >= _MISSED else None
        state, node = queue[task.name]
        if state == "RUNNING" and not task.running:
            task.running = True
            self.ctx.update(job, 0.0, 1.0, f"{job.name} runs on {node}")
        return None

    def _lost(self, task: _Task) -> JobResult:
        storage.remove(self._file(task.index, "result.json"))
        log_file = self._file(task.index, "log")
        lines = log_file.read_text(errors="replace").split("\n") if log_file.is_file() else []
        last = next((line.strip() for line in reversed(lines) if line.strip()), "nothing")[:_SHOWN]
        text = f"Slurm's task {task.name} died ({commands.why_it_ended(task.name)}); it wrote last: {last}"
        return JobResult(state="lost", error=text, exit_code=70)

    def _submit(self, wanted: Sequence[tuple[int, int]]) -> None:
        """Submit (index, tries) of jobs."""
        for first in range(0, len(wanted), self.config.max_array):
            part = wanted[first : first + self.config.max_array]
            names = self.folder / f"tasks_{self.submissions:04d}.txt"
            self.submissions += 1
            files = [str(self._file(index, "json").with_suffix("")) for index, _ in part]
            storage.write_text(names, "\n".join(files) + "\n")
            for index, _ in part:
                storage.remove(self._file(index, "result.json"))
            job_id = commands.submit(self._options(len(part)), self._script(names))
            log.info("submitted %d jobs to Slurm as %s, logs in %s", len(part), job_id, self.folder)
            self.tasks += [
                _Task(index=index, name=f"{job_id}_{number}", tries=tries)
                for number, (index, tries) in enumerate(part)
            ]

    def _options(self, count: int) -> list[str]:
        config = self.config
        limit = f"%{config.max_running}" if config.max_running else ""
        options: dict[str, Any] = {
            "job-name": f"parc-{self.jobs[0].stage}",
            "array": f"0-{count - 1}{limit}",
            "output": "/dev/null",
            "cpus-per-task": config.cpus_per_task,
            "signal": f"B:TERM@{config.stop_s}",
            "partition": config.partition,
            "time": config.time_limit,
            "mem": config.memory,
            "gres": f"gpu:{config.gpus}" if config.gpus else None,
            "account": config.account,
            "qos": config.qos,
        }
        return [f"--{name}={value}" for name, value in options.items() if value is not None] + list(
            config.extra
        )

    def _script(self, tasks: pathlib.Path) -> str:
        command = [sys.executable, "-m", "parc_core.cli.main", "job", "run"]
        return _SCRIPT.format(
            setup=self.config.setup,
            cwd=shlex.quote(str(pathlib.Path.cwd())),
            tasks=shlex.quote(str(tasks)),
            command=shlex.join(command),
            threads=self.config.cpus_per_task,
        )

    def _file(self, index: int, suffix: str) -> pathlib.Path:
        return self.folder / f"job_{index:05d}.{suffix}"


_STOPPING_S = 0.5  # between looks while tasks stop
_STOPPED = JobResult(state="stopped", error="stopped")
