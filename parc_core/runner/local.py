"""Executor `local`: jobs in worker processes of this machine, or one after the other in this process."""

from __future__ import annotations

import collections
import contextlib
import json
import logging
import os
import selectors
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from typing import IO, Any, Literal

import attrs

from parc_core.config import setting
from parc_core.interfaces import Executor, ExecutorContext, JobResult, JobSpec
from parc_core.runner.logs import of_job
from parc_core.stages.fork_server import start_child, warm_up

__all__ = ["LocalConfig", "LocalExecutor"]

log = logging.getLogger(__name__)

_TICK_S = 0.5  # between looks at the clock and at the wish to stop
_MODULE = "parc_core.runner.worker"
_IMPORTS = ("torch", "parc_core.runner.jobs")  # of every job
_SILENT_S = 60.0  # a worker that gives no sign of life for so long hangs; it gives one every two seconds
_STOP_S = 2.0  # for workers that were told to stop; what they lose then, another start does again
_SHOWN = 400  # characters of what a dead worker wrote last


@attrs.frozen(kw_only=True)
class LocalConfig:
    """Settings of `local`."""

    workers: int | Literal["auto"] = setting(
        "auto",
        ge=1,
        le=4096,
        help="Number of worker processes. auto starts one per simulator thread, or one if the device is a GPU. With 1 "
        "the jobs run one after the other in the process of the run.",
    )
    retries: int = setting(
        2,
        ge=0,
        le=1000,
        help="How often a job is tried again after its worker was killed, ran out of memory or hung.",
    )
    stall_timeout_s: float = setting(
        3600.0,
        ge=0.01,
        le=1e8,
        unit="s",
        help="A job without any progress for this long counts as hung: its worker is ended and the job tried again.",
    )


class LocalExecutor(Executor):
    """Runs jobs in worker processes; each result is the same as with one worker.

    A worker that dies or hangs costs its own job alone, which continues from its checkpoints in a new worker. Workers
    end with the process that started them, however that ends.
    """

    def __init__(self, config: LocalConfig) -> None:
        self.config = config

    def run(self, jobs: Sequence[JobSpec], ctx: ExecutorContext) -> Iterator[tuple[int, JobResult]]:
        """(index, result) as jobs end."""
        workers = self._workers(len(jobs), ctx)
        if workers > 1:
            yield from self._run_in_workers(jobs, ctx, min(workers, len(jobs)))
            return
        for index, job in enumerate(jobs):
            stopped = JobResult(state="stopped", error="stopped")
            yield index, stopped if ctx.should_stop() else ctx.run_here(job)

    def warm_up(self, jobs: int, ctx: ExecutorContext) -> None:
        """Import what workers need while the first stages work."""
        if ctx.device == "cpu" and self._workers(jobs, ctx) > 1:
            warm_up([_MODULE, *_IMPORTS, *ctx.modules])

    def _workers(self, jobs: int, ctx: ExecutorContext) -> int:
        if self.config.workers != "auto":
            return self.config.workers
        return min(jobs, ctx.threads) if ctx.device == "cpu" else 1

    def _run_in_workers(
        self, jobs: Sequence[JobSpec], ctx: ExecutorContext, count: int
    ) -> Iterator[tuple[int, JobResult]]:
        waiting = collections.deque(range(len(jobs)))
        tries = [0] * len(jobs)
        threads = max(1, ctx.threads // max(count, 1))
        told_to_stop: float | None = None
        with contextlib.ExitStack() as stack, selectors.DefaultSelector() as selector:
            workers: list[_Worker] = []
            stack.callback(_end_all, workers)
            while waiting or any(worker.job is not None for worker in workers):
                if ctx.should_stop():
                    if told_to_stop is None:
                        told_to_stop = time.monotonic()
                        for worker in workers:
                            worker.send({"stop": True})
                    while waiting:
                        yield waiting.popleft(), JobResult(state="stopped", error="stopped")
                    if time.monotonic() - told_to_stop > _STOP_S:
                        for worker in workers:
                            if worker.job is not None:
                                yield worker.job, JobResult(state="stopped", error="stopped")
                        return  # which ends them
                idle = [worker for worker in workers if worker.job is None]
                while waiting and (idle or len(workers) < count):
                    if idle:
                        worker = idle.pop()
                    else:
                        worker = _Worker(ctx.device, ctx.modules)
                        workers.append(worker)
                        selector.register(worker.out, selectors.EVENT_READ, worker)
                    worker.begin(waiting.popleft(), jobs, threads)
                for key, _ in selector.select(_TICK_S):
                    worker = key.data
                    for kind, value in worker.read():
                        if kind == "result" and worker.job is not None:
                            index, result = worker.job, JobResult(**value)
                            if result.state == "lost":
                                worker.reason = result.error
                                continue  # it ends now
                            worker.job = None
                            yield index, result
                        elif worker.job is not None:
                            _pass_on(kind, value, jobs[worker.job], ctx)
                for worker in list(workers):
                    worker.end_if_hung(self.config.stall_timeout_s)
                    if not worker.ended:
                        continue
                    selector.unregister(worker.out)
                    workers.remove(worker)
                    worker.end()
                    if worker.job is None:
                        continue
                    tries[worker.job] += 1
                    why = worker.why_it_ended()
                    if tries[worker.job] > self.config.retries:
                        text = f"its worker died {tries[worker.job]} times, the last time because {why}"
                        yield worker.job, JobResult(state="lost", error=text, exit_code=70)
                    else:
                        ctx.message(
                            f"{jobs[worker.job].name}: its worker died: {why}. The job is tried again."
                        )
                        waiting.append(worker.job)


def _end_all(workers: list[_Worker]) -> None:
    for worker in workers:
        worker.end()


def _pass_on(kind: str, value: Any, job: JobSpec, ctx: ExecutorContext) -> None:
    if kind == "update":
        done, total, note = value
        ctx.update(job, done, total, note)
    elif kind == "message":
        ctx.message(f"{job.name}: {value[1]}")
    elif kind == "log":
        logger = logging.getLogger(value["name"])
        if logger.isEnabledFor(value["level"]):
            logger.log(value["level"], "%s", of_job(job.name, value["text"]))


class _Worker:
    """A worker process, and the job that it has."""

    def __init__(self, device: str = "cpu", modules: Sequence[str] = ()) -> None:
        self.errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 it lives as long as the worker
        (stdin, orders), (lines, stdout) = os.pipe(), os.pipe()
        files = {"stdin": stdin, "stdout": stdout, "stderr": self.errors.fileno()}
        try:
            self.process = start_child(_MODULE, **files, device=device, modules=[*_IMPORTS, *modules])
        finally:
            os.close(stdin)
            os.close(stdout)
        self.input, self.out = os.fdopen(orders, "wb"), os.fdopen(lines, "rb", buffering=0)
        os.set_blocking(self.out.fileno(), False)
        self.job: int | None = None
        self.ended, self.reason = False, ""
        self._text = b""
        self._heard = self._moved = time.monotonic()

    def begin(self, index: int, jobs: Sequence[JobSpec], threads: int) -> None:
        """Give it a job."""
        self.job, self._moved = index, time.monotonic()
        self.send({"job": jobs[index].plain(), "threads": threads})

    def send(self, order: dict[str, Any]) -> None:
        """Write a line; a worker that is gone is noticed elsewhere."""
        with contextlib.suppress(OSError):
            self.input.write(json.dumps(order).encode() + b"\n")
            self.input.flush()

    def read(self) -> Iterator[tuple[str, Any]]:
        """What it said since the last time."""
        chunk = self.out.read()
        if chunk == b"":
            self.ended = True
            return
        *lines, self._text = (self._text + (chunk or b"")).split(b"\n")
        for line in lines:
            self._heard = time.monotonic()
            for kind, value in json.loads(line).items():
                if kind != "alive":
                    self._moved = self._heard
                    yield kind, value

    def end_if_hung(self, stall_timeout_s: float) -> None:
        """Kill it if it hangs."""
        now = time.monotonic()
        if self.ended or self.job is None:
            return
        if now - self._heard > _SILENT_S:
            self.reason = f"it gave no sign of life for {_SILENT_S:.0f} s"
        elif now - self._moved > stall_timeout_s:
            self.reason = f"it made no progress for {stall_timeout_s:g} s (executor.stall_timeout_s)"
        else:
            return
        self.process.kill()
        self.ended = True

    def why_it_ended(self) -> str:
        """For a message."""
        code = self.process.wait()
        if self.reason:
            return self.reason
        self.errors.seek(0)
        last = self.errors.read().decode(errors="replace").strip()[-_SHOWN:]
        how = f"exit code {code}" if code >= 0 else f"signal {-code} ({signal.Signals(-code).name})"
        return f"{how}{', after writing: ' + last if last else ''}"

    def end(self) -> None:
        """End it; a job that it still has continues another time."""
        with contextlib.suppress(OSError):
            self.input.close()
        if self.job is not None or self.ended:
            self.process.kill()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.out.close()
