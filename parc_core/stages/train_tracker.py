"""Stage 3: train the tracking controller on the inputs and on what was generated."""

from __future__ import annotations

import pathlib
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from parc_core.config import Use, dump
from parc_core.errors import ConfigError
from parc_core.interfaces import Agent, Policy, TrackerEnv
from parc_core.stages import kin_gen
from parc_core.stages.begun import as_begun, prepared_as_begun
from parc_core.stages.context import RunContext
from parc_core.stages.given import given_clips, given_policy
from parc_core.stages.job import Job, carry_out
from parc_core.stages.manifests import entries_of_job
from parc_core.stages.processes import check_processes, in_processes
from parc_core.stages.record import JobRecord, check_outputs, read_record
from parc_core.stages.weighting import weighted
from parc_motion import storage
from parc_motion.clips import DatasetEntry, MotionClip, MotionDataset, cached_clips
from parc_motion.errors import DataError

if TYPE_CHECKING:
    from parc_core.config import IterationConfig
    from parc_core.plugins import Registry

__all__ = [
    "STAGE",
    "check",
    "job",
    "make_env",
    "prepare",
    "run_stage",
    "take_part",
    "tracker_dataset",
    "trained_policy",
]

STAGE = "train_tracker"
_MOTIONS, _EVALUATION = "motions.yaml", "evaluation.json"


def check(config: IterationConfig, registry: Registry, device: str | None, world_size: int) -> None:
    """Refuse a number of processes with which the stage cannot work, see `check_processes`, and rates that do not fit.

    Raises:
        ConfigError: it does not divide the number of environments, or see there; or the simulator's `sim_hz` is not a
            multiple of the environment's `control_hz`.
    """
    _check_rates(config)
    settings = config.train_tracker
    uses = [
        use.target or registry.resolve(kind, use.name)
        for kind, use in (("tracker_env", settings.env), ("agent", settings.agent))
    ]
    check_processes(STAGE, settings.processes, world_size, device, uses)
    count, simulator = max(settings.processes, world_size), settings.simulator.config
    if count > 1 and simulator.num_envs % count:
        raise ConfigError(
            f"{STAGE}.simulator.num_envs is {simulator.num_envs}, which {count} processes cannot divide evenly. Choose "
            "a multiple of their number."
        )


def _check_rates(config: IterationConfig) -> None:
    """Passes if the simulator can make its steps, as far as both providers have settings of these names."""
    settings = config.train_tracker
    control_hz = getattr(settings.env.config, "control_hz", None)
    sim_hz = getattr(settings.simulator.config, "sim_hz", None)
    if control_hz is None or sim_hz is None:
        return
    steps = round(sim_hz / control_hz)
    if steps < 1 or abs(steps * control_hz - sim_hz) > 1e-6 * sim_hz:
        raise ConfigError(
            f"{STAGE}.simulator.sim_hz is {sim_hz:g} Hz, which is not a multiple of {STAGE}.env.control_hz, "
            f"{control_hz:g} Hz. Use for example {4 * control_hz:g}."
        )


def tracker_dataset(run: RunContext, dataset: MotionDataset) -> MotionDataset:
    """The iteration's data set and the generated clips, weighted by `input_weight` and `generated_weight`.

    Where `train_tracker.dataset` names clips, those instead.

    Raises:
        DataError: a batch has not finished, or no batch holds a clip.
    """
    settings = run.config.train_tracker
    if settings.dataset is not None:
        return given_clips("train_tracker.dataset", settings.dataset, "input", run.config)
    entries: list[DatasetEntry] = []
    for group, share in (
        (lambda: dataset.entries, settings.input_weight),
        (lambda: weighted(generated_entries(run), run.config), settings.generated_weight),
    ):
        if (
            share > 0
        ):  # a group without weight need not exist: a tracker can learn before anything is generated
            entries += [attrs.evolve(entry, weight=entry.weight * share) for entry in group()]
    if not entries:
        raise DataError(
            "train_tracker: no motion has a weight above 0. Raise input_weight or generated_weight."
        )
    total = sum(entry.weight for entry in entries)
    return MotionDataset(entries=tuple(attrs.evolve(entry, weight=entry.weight / total) for entry in entries))


def generated_entries(run: RunContext) -> list[DatasetEntry]:
    """The refined clips of every batch of this iteration, mirrored copies included."""
    entries: list[DatasetEntry] = []
    reasons: Counter[str] = Counter()
    folders = kin_gen.batch_folders(run)
    for folder in folders:
        record = read_record(folder)
        if record is None:
            raise DataError(
                f"{folder}: this batch is not generated yet. Run the stage first: --only {kin_gen.STAGE}"
            )
        entries += entries_of_job(folder, "generated")
        reasons.update(record.summary.get("rejected", {}))
    if not entries:
        counts = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
        raise DataError(
            f"{run.folder.kin_gen}: none of the {len(folders)} batches holds a clip ({counts}). Change the terrain, "
            f"the planner or the selector, and generate again: --redo {kin_gen.STAGE}"
        )
    return entries


def job(run: RunContext, dataset_digest: str, start: pathlib.Path | None) -> Job:
    """The stage's job; `start` is the policy to continue from."""
    settings = run.config.train_tracker
    uses: dict[str, tuple[str, Use | None]] = {
        "env": ("tracker_env", settings.env),
        "simulator": ("simulator", settings.simulator),
        "agent": ("agent", settings.agent),
    }
    start_digest = "" if start is None else storage.manifest_digest(start, "policy")
    return run.job(STAGE, run.folder.train_tracker, uses, dataset=dataset_digest, start=start_digest)


def start_folder(run: RunContext) -> pathlib.Path | None:
    """The policy to continue from: the previous iteration's, else `in_model_file`, else none.

    A policy of another agent is used if the agent accepts it (`Agent.accepts`); otherwise the training starts from
    nothing.
    """
    folder = _earlier_policy(run)
    return folder if folder is not None and Policy.load(folder).agent in _accepted_agents(run) else None


def _earlier_policy(run: RunContext) -> pathlib.Path | None:
    given = run.config.train_tracker.in_model_file
    if run.iteration > 1:
        earlier = run.run_folder.iteration(run.iteration - 1)
        check_outputs(earlier.train_tracker, earlier.policy.name)
        return earlier.policy
    return None if given is None else given_policy("train_tracker.in_model_file", given)


def _accepted_agents(run: RunContext) -> list[str]:
    """The agent's own name, and those of agents whose policies it accepts."""
    use = run.config.train_tracker.agent
    target = (use.target or run.registry.resolve("agent", use.name)).load()
    if isinstance(target, type) and issubclass(target, Agent):
        return [target.name, *sorted(target.accepts)]
    return [use.name]


def _tell_of_refused(run: RunContext) -> None:
    folder = _earlier_policy(run)
    if folder is not None:
        known, name = Policy.load(folder).agent, _accepted_agents(run)[0]
        text = f"{folder} holds a policy of agent '{known}'; agent '{name}' starts from nothing"
        run.reporter.message(STAGE, text)


def make_env(
    run: RunContext, dataset: MotionDataset, clips: Sequence[MotionClip], num_envs: int, stage: str
) -> TrackerEnv:
    """The tracking environment over the clips of a data set, with its own simulator."""
    settings = run.config.train_tracker
    simulator = run.registry.create(
        "simulator",
        settings.simulator,
        device=run.device,
        threads=run.threads,
        optional={"dumps": run.run_folder.dumps},
    )
    return run.registry.create(
        "tracker_env",
        settings.env,
        clips=clips,
        weights=np.array(dataset.weights),
        simulator=simulator,
        num_envs=num_envs,
        skeleton=run.skeleton,
        rng=run.seeds(stage).torch("env"),
        device=run.device,
    )


def prepare(run: RunContext, dataset: MotionDataset) -> None:
    """Pack the motions of the training, if they are known before anything is generated.

    With generated motions the data set is another one, and so is its cache: packing a part of it would save nothing.
    """
    settings = run.config.train_tracker
    if settings.dataset is None and settings.generated_weight > 0:
        return
    if read_record(run.folder.train_tracker) is None:
        cached_clips(tracker_dataset(run, dataset), run.run_folder.cache)


def run_stage(run: RunContext, dataset: MotionDataset) -> JobRecord:
    """Train, or continue, or skip; `policy/` holds the controller afterwards, `evaluation.json` how good it is."""

    def prepare(run: RunContext) -> tuple[Job, tuple[MotionDataset, pathlib.Path | None]]:
        motions, start = tracker_dataset(run, dataset), start_folder(run)
        return job(run, motions.digest, start), (motions, start)

    prepared = prepared_as_begun(run, run.folder.train_tracker, prepare)
    if isinstance(prepared, JobRecord):
        return prepared
    run, work, (motions, start) = prepared
    return carry_out(work, lambda: _work(run, work, motions, start))


def _work(run: RunContext, work: Job, motions: MotionDataset, start: pathlib.Path | None) -> JobRecord:
    if start is None:
        _tell_of_refused(run)
    with work.attempt() as folder:
        settings = run.config.train_tracker
        motions.save(folder / _MOTIONS, within=run.run_folder.path)
        storage.write_json(
            folder / "env.yaml", {"env": dump(settings.env), "simulator": dump(settings.simulator)}
        )
        storage.write_json(folder / "agent.yaml", {"agent": dump(settings.agent)})
        in_processes(run, STAGE, folder, settings.processes, lambda one: _train(one, folder, motions, start))
        summary = _summary(run, folder, motions, start)
    return work.commit(summary)


def take_part(run: RunContext, folder: pathlib.Path) -> None:
    """Train together with the main process, which works in `folder`; only that one writes."""
    run = as_begun(run, folder)
    _train(run, folder, MotionDataset.load(folder / _MOTIONS), start_folder(run))


def _train(run: RunContext, folder: pathlib.Path, motions: MotionDataset, start: pathlib.Path | None) -> None:
    """Train, and in the main process write the policy and how well it follows the motions."""
    settings, parallel = run.config.train_tracker, run.parallel
    num_envs = settings.simulator.config.num_envs // parallel.size
    with parallel.main_first():
        clips = cached_clips(motions, run.run_folder.cache)
        env = make_env(run, motions, clips, num_envs, STAGE)
    agent = run.registry.create("agent", settings.agent, device=run.device)
    try:
        if start is not None:
            agent.restore(Policy.load(start), env)
        with run.stage_context(STAGE, folder) as ctx:
            policy = agent.train(env, ctx)
        if parallel.is_main:
            _with_task(policy, run)
            if agent.trains:
                storage.write_json(folder / _EVALUATION, agent.evaluate(env))
    finally:
        env.close()


def _summary(
    run: RunContext, folder: pathlib.Path, motions: MotionDataset, start: pathlib.Path | None
) -> dict[str, Any]:
    summary: dict[str, Any] = {
        "in": len(motions),
        "out": 1,
        "started_from": "nothing" if start is None else run.run_folder.name_of(start),
        "num_samples": Policy.load(folder / "policy").num_samples,
    }
    if (folder / _EVALUATION).is_file():
        evaluation = storage.read_json(folder / _EVALUATION)
        rows = evaluation["motions"]
        summary |= {
            "success_rate": evaluation["success_rate"],
            "errors": evaluation["errors"],
            "followed": [row["motion"] for row in rows if row["success"]],
            "lost": {row["motion"]: row["tracked_s"] for row in rows if not row["success"]},
        }
    return summary


def _with_task(policy: Policy, run: RunContext) -> Policy:
    """The policy, saved again with what it was trained in, so that others can build the same environment for it."""
    settings = run.config.train_tracker
    task = {name: dump(getattr(settings, name)) for name in ("env", "simulator", "agent")}
    return attrs.evolve(
        policy, extra={**policy.extra, "trained_in": {"character": run.config.character, **task}}
    ).save()


def trained_policy(run: RunContext) -> tuple[Policy, str]:
    """Policy and digest of this iteration's tracker.

    Raises:
        DataError: the stage has not finished.
    """
    folder = run.folder.train_tracker
    record = read_record(folder)
    if record is None:
        raise DataError(f"{folder}: the tracker is not trained yet. Run the stage first: --only {STAGE}")
    record.checked(folder, run.folder.policy.name)
    return Policy.load(run.folder.policy), record.digest + record.key
