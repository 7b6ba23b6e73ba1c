"""Stage 1: train the generator on the iteration's data set."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING

from parc_core.config import dump
from parc_core.interfaces import Generator
from parc_core.stages.begun import as_begun, prepared_as_begun
from parc_core.stages.context import RunContext
from parc_core.stages.given import given_clips, given_generator
from parc_core.stages.job import Job, carry_out
from parc_core.stages.processes import check_processes, in_processes
from parc_core.stages.record import JobRecord, check_outputs, read_record
from parc_motion import storage
from parc_motion.clips import MotionDataset
from parc_motion.errors import DataError
from parc_motion.storage import read_manifest

if TYPE_CHECKING:
    from parc_core.config import IterationConfig
    from parc_core.plugins import Registry

__all__ = [
    "STAGE",
    "check",
    "job",
    "prepare",
    "run_stage",
    "start_folder",
    "take_part",
    "trained_generator",
    "training_dataset",
]

STAGE = "train_gen"


def check(config: IterationConfig, registry: Registry, device: str | None, world_size: int) -> None:
    """Refuse a number of processes with which the stage cannot work; see `check_processes`."""
    settings = config.train_gen
    use = settings.generator
    target = use.target or registry.resolve("generator", use.name)
    check_processes(STAGE, settings.processes, world_size, device, [target])


def job(run: RunContext, dataset_digest: str, start: pathlib.Path | None) -> Job:
    """The stage's job; `start` is the generator to continue from."""
    start_digest = "" if start is None else storage.manifest_digest(start, "generator")
    uses = {"generator": ("generator", run.config.train_gen.generator)}
    return run.job(STAGE, run.folder.train_gen, uses, dataset=dataset_digest, start=start_digest)


def start_folder(run: RunContext) -> pathlib.Path | None:
    """The generator to continue from: the previous iteration's, else `input_model_path`, else none."""
    if run.iteration > 1:
        earlier = run.run_folder.iteration(run.iteration - 1)
        check_outputs(earlier.train_gen, earlier.generator.name)
        return earlier.generator
    given = run.config.train_gen.input_model_path
    if given is None:
        return None
    return given_generator("train_gen.input_model_path", given)


def training_dataset(run: RunContext, dataset: MotionDataset) -> MotionDataset:
    """What the generator learns from: the iteration's data set, unless `train_gen.dataset` names another."""
    given = run.config.train_gen.dataset
    return dataset if given is None else given_clips("train_gen.dataset", given, "input", run.config)


def prepare(run: RunContext, dataset: MotionDataset) -> None:
    """Let the generator make what its training will read of the data set; see `Generator.prepare`."""
    if read_record(run.folder.train_gen) is not None:
        return
    learned, start = training_dataset(run, dataset), start_folder(run)
    _generator(run, start).prepare(learned, run.context_before(STAGE, run.folder.train_gen))


def run_stage(run: RunContext, dataset: MotionDataset) -> JobRecord:
    """Train, or continue, or skip; `final_model/` holds the generator afterwards."""

    def prepare(run: RunContext) -> tuple[Job, tuple[MotionDataset, pathlib.Path | None]]:
        learned, start = training_dataset(run, dataset), start_folder(run)
        return job(run, learned.digest, start), (learned, start)

    prepared = prepared_as_begun(run, run.folder.train_gen, prepare)
    if isinstance(prepared, JobRecord):
        return prepared
    run, work, (learned, start) = prepared
    return carry_out(work, lambda: _work(run, work, learned, start, dataset.digest))


def _work(
    run: RunContext, work: Job, learned: MotionDataset, start: pathlib.Path | None, dataset_digest: str
) -> JobRecord:
    with work.attempt() as folder:
        use = run.config.train_gen.generator
        begun_from = None if start is None else run.run_folder.name_of(start)
        document = {"generator": dump(use), "input_model_path": begun_from}
        storage.write_json(folder / "generator.yaml", document)
        processes = run.config.train_gen.processes
        in_processes(run, STAGE, folder, processes, lambda one: _train(one, folder, learned, start))
        read_manifest(folder / "final_model", "generator")  # what later stages will read is whole
    summary = {
        "in": len(learned),
        "out": 1,
        "started_from": begun_from or "nothing",
        "seconds_of_motion": round(sum(entry.length for entry in learned.entries), 2),
        "dataset": dataset_digest,
    }
    return work.commit(summary)


def take_part(run: RunContext, folder: pathlib.Path) -> None:
    """Train together with the main process, which works in `folder`; only that one writes."""
    run = as_begun(run, folder)
    learned = training_dataset(run, MotionDataset.load(run.folder.dataset))
    _train(run, folder, learned, start_folder(run))


def _train(run: RunContext, folder: pathlib.Path, learned: MotionDataset, start: pathlib.Path | None) -> None:
    generator = _generator(run, start)
    with run.stage_context(STAGE, folder) as ctx:
        generator.fit(learned, ctx)
    if run.parallel.is_main:
        generator.save(folder / "final_model")


def _generator(run: RunContext, start: pathlib.Path | None) -> Generator:
    """The generator before its training."""
    use = run.config.train_gen.generator
    generator: Generator = run.registry.create("generator", use, skeleton=run.skeleton, device=run.device)
    if start is not None:
        generator.restore(start)
    return generator


def trained_generator(run: RunContext) -> tuple[pathlib.Path, str]:
    """Folder and digest of this iteration's generator.

    Raises:
        DataError: the stage has not finished.
    """
    folder = run.folder.train_gen
    record = read_record(folder)
    if record is None:
        raise DataError(f"{folder}: the generator is not trained yet. Run the stage first: --only {STAGE}")
    record.checked(folder, run.folder.generator.name)
    return run.folder.generator, record.digest
