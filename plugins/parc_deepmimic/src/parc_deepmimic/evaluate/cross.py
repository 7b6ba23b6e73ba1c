"""`parc eval cross`: the clips of every generator of a run, followed by every tracker."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import attrs

from parc_core.interfaces import IterationFolder, RunFolder
from parc_core.plugins import Registry
from parc_deepmimic.evaluate.clips import load_files
from parc_deepmimic.evaluate.evaluation_envs import EvaluationEnvs
from parc_deepmimic.evaluate.tracker import first_frame, summarize
from parc_deepmimic.evaluate.trained_in import find_policy, load_setup
from parc_motion.clips import MotionClip
from parc_motion.errors import DataError

__all__ = ["Iteration", "evaluate_cross", "find_iterations"]

_DONE = "DONE.json"  # lies in the folder of every finished job


@attrs.frozen(kw_only=True)
class Iteration:
    """What an iteration of a run has finished so far."""

    label: str
    folder: pathlib.Path
    batches: tuple[pathlib.Path, ...]  # folders of clips
    has_tracker: bool


def find_iterations(runs: Sequence[pathlib.Path], raw: bool = False) -> list[Iteration]:
    """The iterations of runs that have finished a batch of clips or a tracker.

    Args:
        runs: run folders, or single iterations in them.
        raw: take clips as they were generated, not as they were refined.

    Raises:
        DataError: a folder is not a run, or the runs lack a finished generator or tracker.
    """
    found: list[Iteration] = []
    for run in runs:
        single = run.name.startswith("iter_")
        folders = [IterationFolder(run)] if single else RunFolder(run).iterations()
        if not run.is_dir() or not folders:
            raise DataError(f"{run}: no run here (it has no folder iter_001). Give the folder of a run.")
        name = run.resolve().parent.name if single else run.resolve().name
        found += [_iteration(folder, name if len(runs) > 1 else "", raw) for folder in folders]
    found = [one for one in found if one.batches or one.has_tracker]
    where = ", ".join(str(run) for run in runs)
    if not any(one.batches for one in found):
        raise DataError(
            f"{where}: no batch of generated clips is finished. Run the stage first: --only kin_gen"
        )
    if not any(one.has_tracker for one in found):
        raise DataError(f"{where}: no tracker is trained yet. Run the stage first: --only train_tracker")
    return found


def evaluate_cross(
    registry: Registry,
    iterations: Sequence[Iteration],
    *,
    overrides: Sequence[str] = (),
    device: str = "cpu",
    threads: int = 1,
    num_envs: int = 256,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Success from the first frame and joint error for every generator and tracker; JSON values.

    Raises:
        DataError: no batch holds a clip.
    """
    sets = {one.label: _clips(one) for one in iterations if one.batches}
    generators = [
        {"label": one.label, "folder": str(one.folder), "clips": len(sets[one.label])}
        for one in iterations
        if one.batches
    ]
    if not any(sets.values()):
        raise DataError(
            "the batches of these runs hold no clip: every candidate was rejected. Relax kin_gen.selector."
        )
    trackers, cells = [], []
    for one in (one for one in iterations if one.has_tracker):
        policy = find_policy(one.folder)
        setup, source = load_setup(registry, policy, overrides=overrides)
        envs = EvaluationEnvs(registry=registry, setup=setup, device=device, threads=threads)
        trackers.append({"label": one.label, "folder": str(policy.folder), "settings_from": source})
        for label, clips in sets.items():
            if not clips:
                continue
            say(f"tracker {one.label} follows the {len(clips)} clips of generator {label}")
            env = envs.make_env(clips, min(len(clips), num_envs))
            try:
                (agent,) = envs.make_agents(env, policy, 1)
                rows = first_frame(agent, env)
            finally:
                env.close()
            figures = summarize(rows, clips)
            cells.append({"generator": label, "tracker": one.label, "clips": len(clips), **figures})
    return {"generators": generators, "trackers": trackers, "cells": cells}


def _iteration(folder: IterationFolder, run: str, raw: bool) -> Iteration:
    batches = [path for path in folder.batches() if (path / _DONE).is_file()]
    if raw:
        batches = [folder.raw(path) for path in batches]
    return Iteration(
        label=f"{run} {folder.number}".lstrip(),
        folder=folder.path,
        batches=tuple(path for path in batches if path.is_dir()),
        has_tracker=(folder.train_tracker / _DONE).is_file(),
    )


def _clips(one: Iteration) -> list[MotionClip]:
    return [clip for batch in one.batches if any(batch.rglob("*.npz")) for clip in load_files(batch)]
