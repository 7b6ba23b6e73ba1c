"""Executor `ray`: each job is a task of a Ray cluster."""

from __future__ import annotations

import collections
import contextlib
import importlib
import logging
import os
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import parc_core
from parc_core.errors import ConfigError
from parc_core.interfaces import Executor, ExecutorContext, JobResult, JobSpec
from parc_motion.errors import ParcError
from parc_motion.storage import Held
from parc_ray import node
from parc_ray.cluster import check_installed, connect, slots
from parc_ray.config import RayConfig

__all__ = ["RayExecutor"]

_TICK_S = 0.5  # between looks at the wish to stop and at what jobs say
_COUNT_S = 5.0  # between counts of the nodes, which may come and go
_BOARD_S = 10.0  # how long the board may take to answer
_CANCEL_S = 5.0  # how long a task may take to end after it was canceled


class RayExecutor(Executor):
    """Carries out jobs as tasks of Ray; each result is the same as in one process.

    A job whose node or worker is lost is tried again. With `shared_folder` it continues from its checkpoints in the run
    folder, otherwise it begins again, unless the try is on the same node.
    """

    def __init__(self, config: RayConfig) -> None:
        check_installed()
        self.config = config

    def run(self, jobs: Sequence[JobSpec], ctx: ExecutorContext) -> Iterator[tuple[int, JobResult]]:
        """(index, result) as jobs end."""
        if not jobs:
            return
        if ctx.device != "cpu" and self.config.gpus == 0:
            raise ConfigError(
                f"executor.gpus is 0, but the device of the run is {ctx.device}: Ray hides the GPUs of a node from "
                "jobs that reserve none.\n  to do       set executor.gpus: 1, or a fraction, or device: cpu"
            )
        ray = connect(self.config, ctx.threads)
        self._check_fit(ray, ctx)
        call = _Call(ray, self.config, jobs, ctx)
        try:
            yield from call.results()
        finally:
            call.end()

    def _check_fit(self, ray: Any, ctx: ExecutorContext) -> None:
        needed = self.config.resources()
        if slots(ray, needed):
            return
        asked = ", ".join(f"{name} {amount:g}" for name, amount in needed.items())
        offers = [
            ", ".join(f"{name} {node['Resources'].get(name, 0):g}" for name in needed)
            for node in ray.nodes()
            if node["Alive"]
        ]
        text = f"executor: no node of Ray has what a job reserves ({asked}). Nodes: {'; '.join(offers) or 'none'}."
        if self.config.address is None:
            raise ConfigError(f"{text}\n  to do       change executor.cpus, gpus or memory, or threads")
        ctx.message(f"{text} The jobs wait for a node that joins.")


class _Call:
    """The jobs of one call of the executor."""

    def __init__(self, ray: Any, config: RayConfig, jobs: Sequence[JobSpec], ctx: ExecutorContext) -> None:
        self.ray, self.config, self.jobs, self.ctx = ray, config, jobs, ctx
        self.waiting = collections.deque(range(len(jobs)))
        self.tries = [0] * len(jobs)
        self.running: dict[Any, int] = {}  # by the reference to what the task returns
        self.begun: set[int] = set()  # of those that run
        self.stopping = False
        self.token = uuid.uuid4().hex
        self._slots, self._counted = 0, float("-inf")
        ray.cloudpickle.register_pickle_by_value(node)
        strategies = importlib.import_module("ray.util.scheduling_strategies")
        here = strategies.NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
        self.board = (
            ray.remote(node.Board)
            .options(num_cpus=0, max_restarts=-1, max_task_retries=-1, scheduling_strategy=here)
            .remote()
        )
        self.task = ray.remote(node.carry_out).options(
            num_cpus=config.cpus,
            num_gpus=config.gpus,
            memory=int(config.resources().get("memory", 0)) or None,
            max_retries=0,  # retries are ours, so that the user hears of them
            scheduling_strategy="SPREAD",
        )

    def results(self) -> Iterator[tuple[int, JobResult]]:
        """(index, result) as jobs end."""
        while self.waiting or self.running:
            if self.ctx.should_stop():
                self._ask_to_stop()
                while self.waiting:
                    yield self.waiting.popleft(), JobResult(state="stopped", error="stopped")
            # more than fit, so that no node waits and a cluster that grows by demand sees it; not all, because each
            # job that travels is a copy of what it reads
            while self.waiting and len(self.running) < 2 * max(self._count(), 1):
                index = self.waiting.popleft()
                failed = self._begin(index)
                if failed is not None:
                    yield index, failed
            if not self.running:
                continue
            ready, _ = self.ray.wait(list(self.running), num_returns=len(self.running), timeout=_TICK_S)
            self._listen()
            for reference in ready:
                index = self.running.pop(reference)
                result = self._result_of(reference, index)
                self.begun.discard(index)
                if result is not None:
                    yield index, result

    def end(self) -> None:
        """Leave nothing running, also if the caller has gone."""
        with contextlib.suppress(Exception):  # the connection may be what the caller has lost
            left = list(self.running)
            for force in (False, True):
                for reference in left:
                    self.ray.cancel(reference, force=force)
                if left:
                    _, left = self.ray.wait(left, num_returns=len(left), timeout=_CANCEL_S)
            self.ray.kill(self.board)

    def _count(self) -> int:
        if time.monotonic() - self._counted > _COUNT_S:
            self._counted = time.monotonic()
            self._slots = slots(self.ray, self.config.resources())
        return self._slots

    def _begin(self, index: int) -> JobResult | None:
        job = self.jobs[index]
        order = {
            "job": job.plain(),
            "index": index,
            "token": self.token,
            "version": parc_core.__version__,
            "threads": self.config.cpus,
            "cwd": os.getcwd(),
            "stall_timeout_s": self.config.stall_timeout_s,
            "last": self.tries[index] >= self.config.retries,
        }
        packed = None
        if not self.config.shared_folder:
            try:
                packed = self.ray.put(self.ctx.pack(job))
            except ParcError as err:
                return JobResult(state="failed", error=str(err), exit_code=err.exit_code)
        self.running[self.task.remote(order, packed, self.board)] = index
        return None

    def _ask_to_stop(self) -> None:
        if self.stopping:
            return
        self.stopping = True
        self._listen()
        for reference, index in self.running.items():
            if index not in self.begun:
                self.ray.cancel(reference)

    def _listen(self) -> None:
        try:
            told = self.ray.get(self.board.read.remote(self.stopping), timeout=_BOARD_S)
        except self.ray.exceptions.RayError:  # its node was lost: it is started on another one
            return
        for index, lines in told:
            self._pass_on(index, lines)

    def _pass_on(self, index: int, lines: Sequence[tuple[str, Any]]) -> None:
        job = self.jobs[index]
        for kind, value in lines:
            if kind == "begun":
                self.begun.add(index)
                self.ctx.update(job, 0.0, 1.0, f"{job.name} on {value}")
            elif kind == "update":
                self.ctx.update(job, *value)
            elif kind == "message":
                self.ctx.message(f"{job.name}: {value[1]}")
            elif kind == "log":
                logger = logging.getLogger(value["name"])
                if logger.isEnabledFor(value["level"]):
                    logger.log(value["level"], "%s", value["text"])

    def _result_of(self, reference: Any, index: int) -> JobResult | None:
        """How the job ended, or None if it is tried again."""
        errors = self.ray.exceptions
        try:
            ended = self.ray.get(reference)
        except errors.TaskCancelledError:
            return JobResult(state="stopped", error="stopped")
        except errors.RayTaskError as err:  # not the job, but what carries it out: a full disk, say
            text = f"on a Ray node: {type(err.cause).__name__}: {err.cause}"
            return JobResult(state="failed", error=text, exit_code=ParcError.exit_code)
        except errors.RayError as err:
            first = (str(err).strip() or type(err).__name__).splitlines()[0]
            return self._again(index, f"{type(err).__name__}: {first}")
        self._pass_on(index, ended["lines"])
        if "died" in ended:
            return self._again(index, ended["died"])
        result = JobResult(**ended["result"])
        if result.state == "finished" and not self.config.shared_folder:
            result = _outcome(lambda: self.ctx.unpack(ended["packed"]))
        if result.state == "finished":
            self.ctx.update(self.jobs[index], 1.0, 1.0, f"{self.jobs[index].name} done")
        return result

    def _again(self, index: int, why: str) -> JobResult | None:
        self.tries[index] += 1
        if self.stopping:
            return JobResult(state="stopped", error=f"stopped; its worker died: {why}")
        if self.tries[index] > self.config.retries:
            text = f"its worker died {self.tries[index]} times, the last time because {why}"
            return JobResult(state="lost", error=" ".join(text.split()), exit_code=ParcError.exit_code)
        self.ctx.message(f"{self.jobs[index].name}: its worker died: {why}. The job is tried again.")
        self.waiting.append(index)
        return None


def _outcome(work: Callable[[], Any]) -> JobResult:
    try:
        work()
    except Held as held:
        return JobResult(state="held", error=str(held), exit_code=held.exit_code)
    except ParcError as err:
        return JobResult(state="failed", error=str(err), exit_code=err.exit_code)
    return JobResult(state="finished")
