"""Stage 4: let the tracker carry the motions out in physics, and keep what succeeded."""

from __future__ import annotations

from typing import Any

import attrs

from parc_core import storage
from parc_core.config.dump import dump
from parc_core.config.fields import Use
from parc_core.data.clip import MotionClip
from parc_core.data.clip_file import save_clip
from parc_core.data.dataset import DatasetEntry, MotionDataset
from parc_core.errors import DataError
from parc_core.interfaces.agent import Agent
from parc_core.interfaces.recorder import RecordReport
from parc_core.stages import train_tracker
from parc_core.stages.context import RunContext
from parc_core.stages.inputs import balance
from parc_core.stages.job import Job, JobRecord

__all__ = ["STAGE", "job", "recorded_dataset", "run_stage"]

STAGE = "phys_record"
_MAX_ENVS = 256  # playbacks side by side; more only costs memory


def recorded_dataset(run: RunContext, dataset: MotionDataset) -> MotionDataset:
    """The motions to record: what was generated, and the inputs if `record` says so."""
    entries: list[DatasetEntry] = []
    if "generated" in run.config.phys_record.record:
        entries += train_tracker.generated_entries(run)
    if "inputs" in run.config.phys_record.record:
        entries += [entry for entry in dataset.entries if entry.origin == "input"]
    return MotionDataset(entries=tuple(balance(attrs.evolve(entry, weight=1.0) for entry in entries)))


def job(run: RunContext, dataset_digest: str) -> Job:
    """The stage's job."""
    settings = run.config.train_tracker
    _, policy_digest = train_tracker.trained_policy(run)
    fields = run.key_fields(
        {
            "recorder": ("recorder", run.config.phys_record.recorder),
            "env": ("tracker_env", settings.env),
            "simulator": ("simulator", settings.simulator),
            "agent": ("agent", settings.agent),
        },
        dataset=dataset_digest,
        policy=policy_digest,
    )
    return Job(stage=STAGE, folder=run.folder / "p4_phys_record", key_fields=fields, attic=run.attic)


def run_stage(run: RunContext, dataset: MotionDataset) -> JobRecord:
    """Record, or skip; `recorded_motions/` holds the clips, `report.json` what became of every motion."""
    motions = recorded_dataset(run, dataset)
    if not len(motions):
        raise DataError(
            "phys_record: there is nothing to record; no batch kept a clip. Relax kin_gen.selector."
        )
    work = job(run, motions.digest)
    record = work.finished()
    if record is not None:
        return record
    with work.attempt() as folder:
        use = run.config.phys_record.recorder
        motions.save(folder / "motions.yaml")
        storage.write_json(folder / "recorder.yaml", {"recorder": dump(use)})
        policy, _ = train_tracker.trained_policy(run)
        clips = list(motions)
        env = train_tracker.make_env(run, motions, min(len(motions), _MAX_ENVS), STAGE)
        try:
            agent = run.registry.create("agent", run.config.train_tracker.agent, device=run.device)
            agent.restore(policy, env)
            recorder = run.registry.create(
                "recorder", use, skeleton=run.skeleton, second_chance=_second(run, use)
            )
            with run.stage_context(STAGE, folder) as ctx:
                report = recorder.record(env, agent, clips, ctx)
        finally:
            env.close()
        digests = {entry.name: entry.digest for entry in motions.entries}
        for one in report.recorded:
            save_clip(
                folder / "recorded_motions" / f"{one.clip.name}.npz",
                _with_parent(one.clip, digests[one.motion]),
            )
    document = _document(report, motions)
    storage.write_json(folder / "report.json", document)
    return work.commit(document["summary"])


def _second(run: RunContext, recorder: Use) -> Agent | None:
    use = getattr(recorder.config, "second_chance", None)
    return None if use is None else run.registry.create("agent", use, device=run.device)


def _with_parent(clip: MotionClip, digest: str) -> MotionClip:
    return attrs.evolve(clip, provenance=attrs.evolve(clip.provenance, parents=(digest,)))


def _document(report: RecordReport, motions: MotionDataset) -> dict[str, Any]:
    origin = {entry.name: entry.origin for entry in motions.entries}
    rows = [
        {
            "motion": one.motion,
            "clip": one.clip.name,
            "origin": origin[one.motion],
            "agent": one.agent,
            "start_fraction": one.start_fraction,
            "attempts": one.attempts,
            "errors": {name: float(value) for name, value in one.errors.items()},
        }
        for one in report.recorded
    ]
    by_agent: dict[str, int] = {}
    for row in rows:
        by_agent[row["agent"]] = by_agent.get(row["agent"], 0) + 1
    names = sorted({name for row in rows for name in row["errors"]})
    errors = (
        {name: sum(row["errors"].get(name, 0.0) for row in rows) / len(rows) for name in names}
        if rows
        else {}
    )
    generated = [name for name, kind in origin.items() if kind == "generated"]
    done = {row["motion"] for row in rows}
    summary = {
        "in": len(motions),
        "out": len(rows),
        "by_agent": by_agent,
        "whole": sum(row["start_fraction"] == 0.0 for row in rows),
        "generated": len(generated),
        "generated_recorded": sum(name in done for name in generated),
        "rejected": _count(report.lost),
        "errors": errors,
    }
    return {"summary": summary, "recorded": rows, "lost": report.lost}


def _count(lost: dict[str, str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for reason in lost.values():
        short = reason.split(":")[0].split(" at ")[0]
        counts[short] = counts.get(short, 0) + 1
    return counts
