"""Stage 4: let the tracker carry the motions out in physics, and keep what succeeded.

Motions are recorded in chunks, so that memory is held for one chunk at a time: its terrains and models, its clips, its
tries. Each chunk has its own environment, agents and checkpoints; its results are written before the next chunk begins.
"""

from __future__ import annotations

import pathlib
import re
import time
from typing import Any

import attrs

from parc_core.config import Use, dump
from parc_core.interfaces import Agent, Policy, Recorded, RecordReport, StageContext
from parc_core.stages import train_tracker
from parc_core.stages.begun import as_begun, prepared_as_begun
from parc_core.stages.context import RunContext
from parc_core.stages.given import given_clips, given_policy
from parc_core.stages.job import Job, carry_out
from parc_core.stages.manifests import balance, scan, write_manifest
from parc_core.stages.places import PARTS
from parc_core.stages.record import JobRecord, read_record
from parc_core.stages.record_report import joined, report_of_chunk
from parc_motion import storage
from parc_motion.clips import (
    DatasetEntry,
    MotionClip,
    MotionDataset,
    action_class,
    execution_file,
    save_clip,
    save_execution,
)
from parc_motion.errors import DataError
from parc_motion.stopping import stop_point

__all__ = [
    "STAGE",
    "begin",
    "chunk_folder",
    "chunk_job",
    "chunk_manifest",
    "clip_folder",
    "job",
    "policy_of",
    "recorded_dataset",
    "run_chunk",
    "run_stage",
]

STAGE = "phys_record"
_RECORDED = "recorded_motions"
_PER_FOLDER = 50
_WAIT_S = 60.0  # for another process that prepares the stage or puts it together, which takes moments
_NUMBERED = re.compile(r"(.+?)_(\d+)_")


def recorded_dataset(run: RunContext, dataset: MotionDataset) -> MotionDataset:
    """The motions to record: those that `phys_record.dataset` or `phys_record.record` names."""
    given = run.config.phys_record.dataset
    if given is not None:
        found = given_clips("phys_record.dataset", given, "input").entries
        return MotionDataset(entries=tuple(balance(attrs.evolve(entry, weight=1.0) for entry in found)))
    entries: list[DatasetEntry] = []
    if "generated" in run.config.phys_record.record:
        entries += train_tracker.generated_entries(run)
    if "inputs" in run.config.phys_record.record:
        entries += [entry for entry in dataset.entries if entry.origin == "input"]
    return MotionDataset(entries=tuple(balance(attrs.evolve(entry, weight=1.0) for entry in entries)))


def policy_of(run: RunContext) -> tuple[Policy, str]:
    """Policy and digest of the tracker that records: the iteration's, unless `phys_record.policy` names another.

    Raises:
        DataError: it is not trained yet, or there is none at the path.
    """
    given = run.config.phys_record.policy
    if given is None:
        return train_tracker.trained_policy(run)
    folder = given_policy("phys_record.policy", given)
    return Policy.load(folder), storage.manifest_digest(folder, "policy")


def job(run: RunContext, dataset_digest: str, policy_digest: str) -> Job:
    """The stage's job."""
    inputs: dict[str, Any] = {
        "dataset": dataset_digest,
        "policy": policy_digest,
        "chunk": run.config.phys_record.chunk,
    }
    return run.job(STAGE, run.folder.phys_record, _uses(run), **inputs)


def _uses(run: RunContext) -> dict[str, tuple[str, Use | None]]:
    settings = run.config.train_tracker
    return {
        "recorder": ("recorder", run.config.phys_record.recorder),
        "env": ("tracker_env", settings.env),
        "simulator": ("simulator", settings.simulator),
        "agent": ("agent", settings.agent),
    }


def begin(run: RunContext, dataset: MotionDataset) -> int:
    """Prepare the stage's folder, with a manifest for each chunk; returns their number, 0 if the stage is finished."""
    prepared = _prepared(run, dataset)
    return 0 if isinstance(prepared, JobRecord) else _begin(*prepared)


def _begin(run: RunContext, work: Job, motions: MotionDataset) -> int:
    size = run.config.phys_record.chunk
    with work.held(_WAIT_S):
        if work.finished() is not None or work.taken_back() is not None:
            return 0
        work.begin()
        firsts = range(0, len(motions), size)
        for number, first in enumerate(firsts):
            if not chunk_manifest(run, number).is_file():
                chunk = MotionDataset(entries=motions.entries[first : first + size])
                chunk.save(chunk_manifest(run, number), within=run.run_folder.path)
    return len(firsts)


def chunk_folder(run: RunContext, number: int) -> pathlib.Path:
    """Where a chunk is recorded, until the stage puts them together."""
    folder = run.folder.phys_record
    return folder.with_name(f"{folder.name}.partial") / PARTS / f"chunk_{number:05d}"


def chunk_manifest(run: RunContext, number: int) -> pathlib.Path:
    """The motions of a chunk."""
    folder = chunk_folder(run, number)
    return folder.with_name(f"{folder.name}.yaml")


def chunk_job(run: RunContext, number: int) -> Job:
    """The job of a chunk.

    Raises:
        DataError: the stage is not begun, or has fewer chunks.
    """
    manifest = chunk_manifest(run, number)
    if not manifest.is_file():
        raise DataError(f"{manifest}: there is no such chunk. Run the stage: --only {STAGE}")
    inputs: dict[str, Any] = {"dataset": MotionDataset.load(manifest).digest, "chunk": number}
    return run.job(STAGE, chunk_folder(run, number), _uses(run), policy=policy_of(run)[1], **inputs)


def run_chunk(run: RunContext, number: int) -> JobRecord:
    """Record one chunk, or continue it, or skip it.

    Args:
        number: which one, counted from 0; the stage is begun, see `begin`.

    Raises:
        Held: another process works on it.
        DataError: the stage is not begun.
    """
    whole = read_record(run.folder.phys_record)
    if whole is not None:
        return whole
    folder = run.folder.phys_record
    run = as_begun(run, folder.with_name(f"{folder.name}.partial"))
    work = chunk_job(run, number)
    chunk, (policy, _) = MotionDataset.load(chunk_manifest(run, number)), policy_of(run)

    def record() -> JobRecord:
        with work.attempt() as folder:
            with run.stage_context(STAGE, folder, checkpoint_stem="record") as ctx:
                report = _record(run, chunk, policy, ctx)
            files = _write(run, folder, report, chunk)
            document = report_of_chunk(report, chunk, files)
            storage.write_json(folder / "report.json", document)
        return work.commit(document["summary"])

    return carry_out(work, record)


def run_stage(run: RunContext, dataset: MotionDataset) -> JobRecord:
    """Record what no chunk has recorded yet, and put the chunks together; or skip.

    Afterwards `recorded_motions/` holds the clips, each with an `.execution` of what the simulator was told, and
    `report.json` says what became of every motion.
    """
    prepared = _prepared(run, dataset)
    if isinstance(prepared, JobRecord):
        return prepared
    run, work, motions = prepared
    count = _begin(run, work, motions)
    for number in range(count):
        run_chunk(run, number)
    with work.held(_WAIT_S):
        return work.finished() or _put_together(run, work, motions, count)


def _prepared(run: RunContext, dataset: MotionDataset) -> tuple[RunContext, Job, MotionDataset] | JobRecord:
    """The settings that hold for the stage, its job and its motions; the record if it is finished, its inputs gone."""

    def prepare(run: RunContext) -> tuple[Job, MotionDataset]:
        motions, (_, policy_digest) = recorded_dataset(run, dataset), policy_of(run)
        return job(run, motions.digest, policy_digest), motions

    return prepared_as_begun(run, run.folder.phys_record, prepare)


def _put_together(run: RunContext, work: Job, motions: MotionDataset, count: int) -> JobRecord:
    """One folder from those of the chunks, which stay as they are until it is complete."""
    started, folder = time.monotonic(), work.begin()
    motions.save(folder / "motions.yaml", within=run.run_folder.path)
    storage.write_json(folder / "recorder.yaml", {"recorder": dump(run.config.phys_record.recorder)})
    documents = []
    wall_s = 0.0
    for number in range(count):
        part = chunk_folder(run, number)
        record = read_record(part)
        if record is None:
            raise DataError(f"{part}: the chunk is not recorded. Run the stage again: --only {STAGE}")
        record.checked(part)
        documents.append(storage.read_json(part / "report.json"))
        wall_s += record.wall_s
        for name in record.files:
            if name != "report.json":
                in_place = name.startswith(f"{_RECORDED}/")
                storage.link_file(part / name, folder / (name if in_place else f"{part.name}/{name}"))
    document = joined(documents, motions)
    storage.write_json(folder / "report.json", document)
    if (folder / _RECORDED).is_dir():
        write_manifest(folder / _RECORDED, scan(folder / _RECORDED, _RECORDED))
    work.add_time(wall_s + time.monotonic() - started)
    return work.commit(document["summary"])


def clip_folder(name: str) -> str:
    """The folder below `recorded_motions` for a clip: fifty clips each by the first number in the name.

    >>> clip_folder("motions_75_0_opt_dm")
    'motions_50_99'

    A name without ``_<number>_`` stays at the top, ``""``. Source: `parc_motion.published`.
    """
    found = _NUMBERED.match(name)
    if found is None:
        return ""
    first = int(found[2]) // _PER_FOLDER * _PER_FOLDER
    return f"{found[1]}_{first}_{first + _PER_FOLDER - 1}"


def _record(run: RunContext, chunk: MotionDataset, policy: Policy, ctx: StageContext) -> RecordReport:
    use = run.config.phys_record.recorder
    clips = list(chunk)
    env = train_tracker.make_env(run, chunk, clips, len(clips), STAGE)
    try:
        agent = run.registry.create("agent", run.config.train_tracker.agent, device=run.device)
        agent.restore(policy, env)
        recorder = run.registry.create(
            "recorder", use, skeleton=run.skeleton, second_chance=_second(run, use)
        )
        return recorder.record(env, agent, clips, ctx)
    finally:
        env.close()


def _write(
    run: RunContext, folder: pathlib.Path, report: RecordReport, chunk: MotionDataset
) -> dict[str, str]:
    """Write clips and executions; where each clip lies, by its name."""
    digests = {entry.name: entry.digest for entry in chunk.entries}
    simulator = dump(run.config.train_tracker.simulator)
    files = {}
    for one in report.recorded:
        stop_point()
        path = folder / _RECORDED / clip_folder(one.clip.name) / f"{one.clip.name}.npz"
        clip = _with_parent(one, digests[one.motion])
        save_clip(path, attrs.evolve(clip, motion_class=action_class(clip, run.skeleton)))
        save_execution(execution_file(path), attrs.evolve(one.execution, simulator=simulator))
        files[one.clip.name] = path.relative_to(folder).as_posix()
    return files


def _second(run: RunContext, recorder: Use) -> Agent | None:
    use = getattr(recorder.config, "second_chance", None)
    return None if use is None else run.registry.create("agent", use, device=run.device)


def _with_parent(one: Recorded, digest: str) -> MotionClip:
    return attrs.evolve(one.clip, provenance=attrs.evolve(one.clip.provenance, parents=(digest,)))
