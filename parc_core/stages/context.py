"""What all stages of a run share."""

from __future__ import annotations

import pathlib
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import attrs

from parc_core import __version__
from parc_core.config import Use, dump, dump_yaml
from parc_core.interfaces import (
    IterationFolder,
    JobInfo,
    MetricRecord,
    MetricSink,
    Parallel,
    RunFolder,
    SeedStreams,
    StageContext,
)
from parc_core.stages.content import extending_settings, provider_key, provider_versions
from parc_core.stages.job import Job
from parc_core.stages.machine import machine_of
from parc_core.stages.places import lasting_folder
from parc_core.stages.source_digests import SourceDigests
from parc_core.stages.working_time import WorkingTime
from parc_motion.skeletons import Skeleton
from parc_motion.storage import CheckpointStore, digest_json

if TYPE_CHECKING:
    from parc_core.config import IterationConfig
    from parc_core.plugins import Registry
    from parc_core.stages.group import Group

__all__ = ["Reporter", "RunContext"]

_WALL_S = "time/wall_s"  # working time of the job, over all attempts


class Reporter(Protocol):
    """Whom a run tells how it goes; the command line shows it, a test collects it."""

    def message(self, stage: str, text: str) -> None:
        """One line for a person who follows the run."""

    def update(self, stage: str, done: float, total: float, note: str) -> None:
        """How far a stage is; may be called very often."""


@attrs.frozen(kw_only=True)
class RunContext:
    """Configuration, plugins, character, folders and streams of one iteration."""

    settings: IterationConfig = attrs.field(alias="config")  # of the whole run; `config` has the iteration's
    registry: Registry
    skeleton: Skeleton
    run_folder: RunFolder
    iteration: int  # counted from 1
    device: str
    threads: int  # simulator threads
    torch_threads: int
    reporter: Reporter
    should_stop: Callable[[], bool]
    parallel: Parallel = attrs.field(factory=Parallel)  # this process among those of a training
    group: Group | None = None  # processes that torchrun has started and that wait for trainings
    gone: frozenset[pathlib.Path] = frozenset()  # folders that count as not there: a plan replaces them
    source_digests: SourceDigests = attrs.field(repr=False)

    @source_digests.default
    def _source_digests(self) -> SourceDigests:
        return SourceDigests(self.run_folder.source_digests)

    @property
    def config(self) -> IterationConfig:
        """The settings of the iteration."""
        return self.settings.at(self.iteration)

    @property
    def folder(self) -> IterationFolder:
        """The iteration's folder."""
        return self.run_folder.iteration(self.iteration)

    def job(
        self,
        stage: str,
        folder: pathlib.Path,
        uses: Mapping[str, tuple[str, Use | None]],
        *,
        iteration: int | None = None,
        extending: tuple[str, ...] = (),
        scratch: tuple[str, ...] = (),
        **inputs: Any,
    ) -> Job:
        """A job of this run; see `Job`.

        Args:
            uses: role -> (kind, chosen provider).
            iteration: instead of the run's.
            extending: names of `inputs` that only make the work longer when they grow.
            scratch: folders of the folder at work that are no outputs.
            inputs: digests and plain settings that the result depends on.
        """
        chosen = {role: (kind, use) for role, (kind, use) in uses.items() if use is not None}
        versions = {"parc-core": __version__}
        for kind, use in chosen.values():
            versions |= provider_versions(self.registry, kind, use)
        fields = {
            "seed": self.config.seed,
            "iteration": self.iteration if iteration is None else iteration,
            "character": digest_json([self.skeleton.id, self.skeleton.mjcf]),
            "providers": {role: self._provider_key(*choice) for role, choice in chosen.items()},
            "inputs": inputs,
        }
        if self.torch_threads != 1:  # sums of floats depend on it
            fields["torch_threads"] = self.torch_threads
        longer = {
            f"providers.{role}.{name}"
            for role, (_, use) in chosen.items()
            for name in extending_settings(use)
        }
        return Job(
            extending=frozenset(longer | {f"inputs.{name}" for name in extending}),
            settings=lambda: dump_yaml(self.config),
            stage=stage,
            folder=folder,
            key_fields=fields,
            versions=versions,
            machine=lambda: machine_of(self.device, self.threads, self.torch_threads),
            scratch=frozenset(scratch),
            superseded=self.run_folder.superseded,
            locks=self.run_folder.locks,
        )

    def _provider_key(self, kind: str, use: Use) -> dict[str, Any]:
        if kind != "motion_source":
            return provider_key(self.registry, kind, use)
        return provider_key(self.registry, kind, use, self.source_digests.digest)

    def seeds(self, stage: str) -> SeedStreams:
        """The random streams of a stage."""
        return SeedStreams(self.config.seed).child("iteration", number=self.iteration).child(stage)

    @contextmanager
    def stage_context(
        self, stage: str, folder: pathlib.Path, checkpoint_stem: str = "model"
    ) -> Iterator[StageContext]:
        """The context for a provider that works in `folder` within an attempt; its sinks are closed at the end.

        Only the main process of a training has sinks, and tells the reporter.
        """
        chosen = self.config.metrics if self.parallel.is_main else ()
        with ExitStack() as stack:
            sinks = []
            for use in chosen:
                optional = {"job": self._job_info(stage, lasting_folder(folder))}
                sinks.append(self.registry.create("metric_sink", use, folder=folder, optional=optional))
                stack.callback(sinks[-1].close)
            metrics = _Sinks(tuple(sinks), WorkingTime.of(folder)) if sinks else _NoSinks()
            yield self._context(stage, folder, checkpoint_stem, metrics)

    def context_before(self, stage: str, folder: pathlib.Path) -> StageContext:
        """The context for a provider that prepares a stage: nothing is written to its folder, metrics go nowhere."""
        return self._context(stage, folder, "model", _NoSinks())

    def _context(
        self, stage: str, folder: pathlib.Path, checkpoint_stem: str, metrics: _Sinks | _NoSinks
    ) -> StageContext:
        parallel = self.parallel
        return StageContext(
            folder=folder,
            checkpoints=CheckpointStore(folder=folder / "checkpoints", stem=checkpoint_stem),
            cache=self.run_folder.cache,
            seeds=self.seeds(stage),
            metrics=metrics,
            progress=_StageProgress(stage=stage, reporter=self.reporter),
            threads=self.torch_threads,
            should_stop=lambda: parallel.any(self.should_stop()),
            parallel=parallel,
        )

    def _job_info(self, stage: str, lasting: pathlib.Path) -> JobInfo:
        return JobInfo(
            run=self.config.name,
            iteration=self.iteration,
            stage=stage,
            name=lasting.relative_to(self.run_folder.path).as_posix(),
            folder=lasting.absolute(),
            run_folder=self.run_folder.path.absolute(),
            settings=dump(self.config),
            versions={**dict(self.registry.plugins()), "parc-core": __version__},
        )


class _NoSinks:
    def write(self, step: int, values: Mapping[str, float]) -> None:
        pass


@attrs.frozen
class _Sinks:
    sinks: tuple[MetricSink, ...]
    clock: WorkingTime

    def write(self, step: int, values: Mapping[str, float]) -> None:
        if not values:
            return
        self.clock.keep_now_and_then()  # before the sinks write, so that no later attempt begins with less
        now, everything = time.time(), {**values, _WALL_S: self.clock.seconds()}
        records = [MetricRecord(step, name, float(value), now) for name, value in everything.items()]
        for sink in self.sinks:
            sink.write(records)


@attrs.frozen(kw_only=True)
class _StageProgress:
    stage: str
    reporter: Reporter

    def update(self, done: float, total: float, note: str = "") -> None:
        self.reporter.update(self.stage, done, total, note)
