"""Carries out a training in this process, in several that it starts, or in those that torchrun has started.

The starting process is not one of them: it keeps the lock, the log and the records of the run, and waits. What it says
to the others goes through their standard input, "stop" or, by its end, that nobody waits any more; they answer in lines
of JSON on their standard output.
"""

from __future__ import annotations

import collections
import contextlib
import json
import logging
import os
import pathlib
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import IO, Any

import attrs

from parc_core.errors import ConfigError, ProcessLost, StageFailed
from parc_core.interfaces import Stopped
from parc_core.plugins import Target
from parc_core.stages.content import provider_modules
from parc_core.stages.context import RunContext
from parc_core.stages.fork_server import Child, start_child
from parc_core.stages.group import local_store, simulator_threads
from parc_motion.errors import ParcError

__all__ = ["STOPPED", "check_processes", "in_processes", "stopped_if_asked"]

log = logging.getLogger(__name__)

STOPPED = 3  # exit code of a process that was asked to stop, and did
_MODULE = "parc_core.runner.rank"
_GRACE = 10.0  # s, for the others to notice that a process has ended, and for the last lines to arrive
_KEPT_LINES = 20  # of what a process printed, for the message


def check_processes(
    stage: str, processes: int, world_size: int, device: str | None, uses: Sequence[Target]
) -> None:
    """Refuse a training in several processes that cannot work.

    Args:
        processes: the stage's setting.
        world_size: number of processes that torchrun has started; 1 without it.
        device: of the run; None: it does not matter yet.
        uses: the providers that take part.

    Raises:
        ConfigError: a provider trains in one process only, or the numbers contradict each other.
    """
    if world_size > 1 and processes not in (1, world_size):
        raise ConfigError(
            f"{stage}.processes is {processes}, but torchrun has started {world_size} processes. Leave the setting "
            "out, or start without torchrun."
        )
    count = max(processes, world_size)
    if count == 1:
        return
    if device is not None and device.startswith("cuda:"):
        raise ConfigError(
            f"{stage}: device is '{device}', but {count} processes need a GPU each. Set device: cuda, or choose GPUs "
            "with the environment variable CUDA_VISIBLE_DEVICES."
        )
    if world_size == 1 and device == "cuda":
        import torch

        if torch.cuda.device_count() < count:
            raise ConfigError(
                f"{stage}.processes is {count}, but torch sees {torch.cuda.device_count()} CUDA device(s), and every "
                "process needs its own. Lower it, or set device: cpu."
            )
    for target in uses:
        if not getattr(target.load(), "data_parallel", False):
            raise ConfigError(
                f"{stage}: {target.title} trains in one process only, but {count} are to train together. Set "
                f"{stage}.processes to 1 and start without torchrun, or choose another {target.kind}."
            )


def in_processes(
    run: RunContext, stage: str, folder: pathlib.Path, processes: int, work: Callable[[RunContext], None]
) -> None:
    """Do the work of a training stage in as many processes as were asked for.

    Args:
        folder: the job's working folder.
        work: does it in one process; it gets the context with that process's device and place among the others.

    Raises:
        Stopped: all processes have written their checkpoint.
        ParcError: what a process raised.
        StageFailed: a process ended without a word.
    """
    training = {
        "run": str(run.run_folder.path.resolve()),
        "iteration": run.iteration,
        "stage": stage,
        "folder": str(folder.resolve()),
    }
    group = run.group
    if group is not None:
        group.post(training)
        threads = simulator_threads(run.config.threads, group.local_size)
        with stopped_if_asked(run):
            work(attrs.evolve(run, parallel=group.parallel, device=group.device, threads=threads))
    elif processes > 1:
        with _Team.started(run, training, processes) as team:
            team.wait()
    else:
        work(run)


@contextlib.contextmanager
def stopped_if_asked(run: RunContext) -> Iterator[None]:
    """A process that was asked to stop has stopped, also where another one did so before it.

    Raises:
        Stopped: instead of `ProcessLost`.
    """
    try:
        yield
    except ProcessLost:
        if run.should_stop():
            raise Stopped from None
        raise


@attrs.define(kw_only=True)
class _Process:
    """One process of a training, and what is known of it."""

    rank: int
    child: Child
    orders: IO[str]  # its standard input
    lines: collections.deque[str]  # the last that it printed
    error: dict[str, str] | None = None  # what it says to have failed of

    def send(self, word: str) -> None:
        with contextlib.suppress(OSError):  # it has ended, which `wait` notices
            self.orders.write(word + "\n")
            self.orders.flush()

    def kill(self) -> None:
        """End it and whatever it has started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.child.pid, signal.SIGKILL)
        self.child.wait()
        with contextlib.suppress(OSError):
            self.orders.close()


@attrs.define(kw_only=True)
class _Team:
    """The processes of a training, all on this machine."""

    run: RunContext
    stage: str
    processes: list[_Process]
    events: queue.SimpleQueue[tuple[int, dict[str, Any]]]
    readers: list[threading.Thread]

    @classmethod
    @contextlib.contextmanager
    def started(cls, run: RunContext, training: dict[str, Any], count: int) -> Iterator[_Team]:
        """Start the processes; none is left when the block ends."""
        store = local_store()
        team = cls(run=run, stage=training["stage"], processes=[], events=queue.SimpleQueue(), readers=[])
        try:
            for rank in range(count):
                job = {"rank": rank, "size": count, "port": store.port, "device": run.device}
                team._start({**training, **job})
            yield team
        finally:
            for process in team.processes:
                process.kill()
            for reader in team.readers:
                reader.join()

    def wait(self) -> None:
        """Pass on what the processes say until all have ended well; see `in_processes`."""
        told = False
        while any(process.child.poll() is None for process in self.processes):
            if any(process.child.poll() not in (None, 0) for process in self.processes):
                break
            if self.run.should_stop() and not told:
                told = True
                for process in self.processes:
                    process.send("stop")
            self._pass_on(0.2)
        if any(process.child.poll() != 0 for process in self.processes):
            self._fail()
        self._pass_on_rest()

    def _start(self, job: dict[str, Any]) -> None:
        (stdin, orders), (events, stdout), (prints, stderr) = os.pipe(), os.pipe(), os.pipe()
        theirs = {"stdin": stdin, "stdout": stdout, "stderr": stderr}
        try:
            modules = provider_modules(self.run.registry, self.run.config)
            child = start_child(_MODULE, **theirs, device=self.run.device, modules=modules)
        finally:
            for file in theirs.values():
                os.close(file)
        lines = collections.deque[str](maxlen=_KEPT_LINES)
        process = _Process(rank=job["rank"], child=child, orders=os.fdopen(orders, "w"), lines=lines)
        self.processes.append(process)
        printed, events_read = os.fdopen(prints, errors="replace"), os.fdopen(events)
        for target, stream in ((self._keep, printed), (self._receive, events_read)):
            reader = threading.Thread(target=target, args=(process, stream), daemon=True)
            self.readers.append(reader)
            reader.start()
        process.send(json.dumps(job))

    def _keep(self, process: _Process, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                process.lines.append(line.rstrip())
                log.debug("process %d: %s", process.rank, line.rstrip())

    def _receive(self, process: _Process, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                self.events.put((process.rank, json.loads(line)))

    def _pass_on(self, timeout: float) -> bool:
        """Pass one event to whoever follows the run, waiting for it up to `timeout` s; whether there was one."""
        try:
            rank, event = self.events.get(timeout=timeout)
        except queue.Empty:
            return False
        for kind, value in event.items():
            if kind == "error":
                self.processes[rank].error = value
            elif kind == "update":
                self.run.reporter.update(self.stage, *value)
            elif kind == "message":
                self.run.reporter.message(*value)
            elif kind == "log":
                logging.getLogger(value["name"]).log(value["level"], "%s", value["text"])
        return True

    def _pass_on_rest(self) -> None:
        for reader in self.readers:
            reader.join()
        while self._pass_on(0.0):
            pass

    def _fail(self) -> None:
        """End the others, and raise what the process that failed first has to say."""
        first = [process for process in self.processes if process.child.poll() not in (None, 0)]
        deadline = time.monotonic() + _GRACE
        while any(process.child.poll() is None for process in self.processes) and time.monotonic() < deadline:
            self._pass_on(0.1)
        for process in self.processes:
            process.kill()
        self._pass_on_rest()
        failed = [process for process in self.processes if process.child.returncode not in (0, STOPPED)]
        # one that ended because of another one has nothing to say
        causes = [process for process in failed if (process.error or {}).get("type") != ProcessLost.__name__]
        stopped = any(process.child.returncode == STOPPED for process in self.processes)
        if stopped and not any(process in first or process.error for process in causes):
            raise Stopped  # the others, too, or they waited for it in vain
        cause = next(iter([p for p in causes if p in first] or causes or first or failed))
        raise self._error_of(cause)

    def _error_of(self, process: _Process) -> ParcError:
        if process.error is not None and process.error["type"] != ProcessLost.__name__:
            return _error_class(process.error["type"])(process.error["text"])
        code = process.child.wait()
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        said = "\n  ".join(process.lines) or "nothing"
        return StageFailed(
            f"{self.stage}: process {process.rank} of {len(self.processes)} has ended with {how}. The others were "
            f"stopped; checkpoints remain, and the same command continues. Its last lines:\n  {said}"
        )


def _error_class(name: str) -> type[ParcError]:
    """The class of PARC's errors with this name: the command gives its exit code."""
    pending: list[type[ParcError]] = [ParcError]
    while pending:
        one = pending.pop()
        if one.__name__ == name:
            return one
        pending += one.__subclasses__()
    return StageFailed
