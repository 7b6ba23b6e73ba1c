"""Stage 4: let the tracker carry the motions out in physics, and keep what succeeded.

Motions are recorded in chunks, so that memory is held for one chunk at a time: its terrains and models, its clips, its
tries. Each chunk has its own environment, agents and checkpoints; its results are written before the next chunk begins.
"""

from __future__ import annotations

import pathlib
import re
from typing import Any

import attrs

from parc_core.config import Use, dump
from parc_core.interfaces import Agent, Policy, Progress, Recorded, RecordReport, StageContext
from parc_core.stages import train_tracker
from parc_core.stages.context import RunContext
from parc_core.stages.given import given_clips, given_policy
from parc_core.stages.job import Job, JobRecord, prepared_or_record
from parc_core.stages.manifests import balance, scan, write_manifest
from parc_core.stages.record_report import extended, missing, report_of
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

__all__ = ["STAGE", "clip_folder", "job", "recorded_dataset", "run_stage"]

STAGE = "phys_record"
_PER_FOLDER = 50
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
    return Policy.load(folder), storage.digest_json(storage.digest_folder(folder))


def job(run: RunContext, dataset_digest: str) -> Job:
    """The stage's job."""
    settings = run.config.train_tracker
    _, policy_digest = policy_of(run)
    uses: dict[str, tuple[str, Use | None]] = {
        "recorder": ("recorder", run.config.phys_record.recorder),
        "env": ("tracker_env", settings.env),
        "simulator": ("simulator", settings.simulator),
        "agent": ("agent", settings.agent),
    }
    chunk = run.config.phys_record.chunk
    return run.job(
        STAGE, run.folder.phys_record, uses, dataset=dataset_digest, policy=policy_digest, chunk=chunk
    )


def run_stage(run: RunContext, dataset: MotionDataset) -> JobRecord:
    """Record, or skip.

    Afterwards `recorded_motions/` holds the clips, each with an `.execution` of what the simulator was told, and
    `report.json` says what became of every motion.
    """

    def prepare() -> tuple[Job, MotionDataset, Policy]:
        motions, (policy, _) = recorded_dataset(run, dataset), policy_of(run)
        return job(run, motions.digest), motions, policy

    prepared = prepared_or_record(prepare, run.folder.phys_record)
    if isinstance(prepared, JobRecord):
        return prepared
    work, motions, policy = prepared
    record = work.finished()
    if record is not None:
        return record
    with work.attempt() as folder:
        motions.save(folder / "motions.yaml")
        storage.write_json(folder / "recorder.yaml", {"recorder": dump(run.config.phys_record.recorder)})
        document = _so_far(folder / "report.json", motions)
        size = run.config.phys_record.chunk
        for number, first in enumerate(range(0, len(motions), size)):
            chunk = MotionDataset(entries=motions.entries[first : first + size])
            if missing(document, [entry.name for entry in chunk.entries]):
                with run.stage_context(STAGE, folder, checkpoint_stem=f"chunk_{number:05d}") as ctx:
                    progress = _Shifted(inner=ctx.progress, before=first, total=len(motions))
                    ctx = attrs.evolve(ctx, progress=progress)
                    report = _record(run, chunk, policy, ctx)
                document = extended(document, report, motions, _write(run, folder, report, chunk))
                storage.write_json(folder / "report.json", document)
            _drop_checkpoints(folder / "checkpoints", f"chunk_{number:05d}")
        recorded = folder / "recorded_motions"
        if recorded.is_dir():
            write_manifest(recorded, scan(recorded, recorded.name))
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


@attrs.frozen(kw_only=True)
class _Shifted:
    """Progress of a chunk as progress of the stage."""

    inner: Progress
    before: int  # motions of earlier chunks
    total: int

    def update(self, done: float, total: float, note: str = "") -> None:
        self.inner.update(self.before + done, self.total, note)


def _so_far(path: pathlib.Path, motions: MotionDataset) -> dict[str, Any]:
    return storage.read_json(path) if path.is_file() else report_of(motions, [], {})


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
        path = folder / "recorded_motions" / clip_folder(one.clip.name) / f"{one.clip.name}.npz"
        clip = _with_parent(one, digests[one.motion])
        save_clip(path, attrs.evolve(clip, motion_class=action_class(clip, run.skeleton)))
        save_execution(execution_file(path), attrs.evolve(one.execution, simulator=simulator))
        files[one.clip.name] = path.relative_to(folder).as_posix()
    return files


def _drop_checkpoints(folder: pathlib.Path, stem: str) -> None:
    for path in sorted(folder.glob(f"{stem}_*")):
        storage.remove(path)


def _second(run: RunContext, recorder: Use) -> Agent | None:
    use = getattr(recorder.config, "second_chance", None)
    return None if use is None else run.registry.create("agent", use, device=run.device)


def _with_parent(one: Recorded, digest: str) -> MotionClip:
    return attrs.evolve(one.clip, provenance=attrs.evolve(one.clip.provenance, parents=(digest,)))
