"""Kind `executor`: carries out jobs of a run, on this machine or on others."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

import attrs

from parc_core.interfaces.run_folder import STAGE_FOLDERS
from parc_motion.errors import DataError

__all__ = ["Executor", "ExecutorContext", "JobResult", "JobSpec"]

JobState = Literal["finished", "held", "stopped", "failed", "lost"]


@attrs.frozen(kw_only=True)
class JobSpec:
    """One job of a run as plain data; `parc job run` carries it out wherever the run folder is seen.

    Its result is not returned: it lies in the run folder.
    """

    run: str  # path of the run folder
    iteration: int  # counted from 1
    stage: str  # train_gen, kin_gen, train_tracker or phys_record
    part: int | None = (
        None  # of kin_gen the batch, of phys_record the chunk, counted from 0; None is the whole stage
    )
    ids: tuple[int, int] | None = None  # of a batch: its first motion, and the one after its last

    @property
    def name(self) -> str:
        """As it stands in messages: ``iteration 1, kin_gen 3``."""
        part = "" if self.part is None else f" {self.part}"
        return f"iteration {self.iteration}, {self.stage}{part}"

    def plain(self) -> dict[str, Any]:
        """JSON values; `read` is the inverse."""
        return {"format": 1, **attrs.asdict(self), "ids": None if self.ids is None else list(self.ids)}

    @classmethod
    def read(cls, plain: Any, where: str = "job") -> JobSpec:
        """The job that `plain` described.

        Raises:
            DataError: something else is written there.
        """
        types: dict[str, Any] = {
            "run": str,
            "iteration": int,
            "stage": str,
            "part": (int, type(None)),
            "ids": (list, type(None)),
        }
        if not isinstance(plain, Mapping) or plain.get("format") != 1 or set(plain) != {"format", *types}:
            raise DataError(f"{where}: not a job. A job has format: 1 and {', '.join(types)}.")
        for name, kind in types.items():
            if not isinstance(plain[name], kind) or isinstance(plain[name], bool):
                raise DataError(f"{where}: {name} is {plain[name]!r}, which it cannot be.")
        if plain["stage"] not in STAGE_FOLDERS:
            raise DataError(
                f"{where}: stage is '{plain['stage']}', expected one of {', '.join(STAGE_FOLDERS)}."
            )
        ids = plain["ids"]
        if ids is not None and not (len(ids) == 2 and all(isinstance(one, int) for one in ids)):
            raise DataError(f"{where}: ids is {ids}, expected two numbers.")
        values = {name: plain[name] for name in types}
        return cls(**{**values, "ids": None if ids is None else tuple(ids)})


@attrs.frozen(kw_only=True)
class JobResult:
    """How a job ended; what it made lies in the run folder."""

    state: JobState  # held: another process works on it; lost: whoever worked on it died, each time that it was tried
    error: str = ""  # of a job that did not finish: one line for a user
    exit_code: int = 0

    def plain(self) -> dict[str, Any]:
        """JSON values, for `JobResult(**plain)`."""
        return attrs.asdict(self)


@attrs.frozen(kw_only=True)
class ExecutorContext:
    """What a run gives to its executor."""

    run_here: Callable[[JobSpec], JobResult]  # carries a job out in this process
    update: Callable[[JobSpec, float, float, str], None]  # progress of a job: how much, of how much, a remark
    message: Callable[[str], None]  # one line for the user
    should_stop: Callable[[], bool]  # the user asked to stop: jobs stop at their next safe point
    pack: Callable[[JobSpec], bytes]  # a job with all that it reads: a zip for `parc job run`
    unpack: Callable[[bytes], None]  # takes over what `parc job run` made of it, the .result.zip
    threads: int = 1  # simulator threads that all jobs together may use on this machine
    device: str = "cpu"
    modules: Sequence[str] = ()  # of the chosen providers, which workers on this machine may import ahead


class Executor(ABC):
    """Carries out jobs that do not depend on each other. Made with ``target(config)``.

    A job leaves its result in the run folder, where its lock keeps it from being done twice, so an executor may run it
    in another process, or on a machine that sees the folder, with ``parc job run``; that command prints a `JobResult`
    as JSON. One that uses machines without the folder packs the job and unpacks its result.
    """

    @abstractmethod
    def run(self, jobs: Sequence[JobSpec], ctx: ExecutorContext) -> Iterator[tuple[int, JobResult]]:
        """(index of the job, how it ended) as jobs end, once for each.

        A job whose worker dies is tried again, and only then "lost"; a job that fails with an error of its own is not.
        After `ctx.should_stop`, running jobs are asked to stop, and jobs that have not begun are "stopped".
        """

    def warm_up(self, jobs: int, ctx: ExecutorContext) -> None:
        """Prepare for jobs that will come later, and return at once; called before the first stage of a run.

        Args:
            jobs: how many there will be, as far as that is known.
        """
