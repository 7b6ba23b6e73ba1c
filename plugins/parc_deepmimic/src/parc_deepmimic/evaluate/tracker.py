"""`parc eval tracker`: how well one agent follows a set of motions."""

from __future__ import annotations

import collections
from collections.abc import Callable, Sequence
from typing import Any

import attrs
import torch

from parc_core.config import Use
from parc_core.interfaces import Agent, Policy, TrackerEnv
from parc_core.interfaces.evaluation import follow, mean_errors
from parc_core.interfaces.survival import perturbed_starts, survival
from parc_deepmimic.evaluate.arena import Arena
from parc_deepmimic.evaluate.intervals import bootstrap_ratio, wilson
from parc_motion.clips import MotionClip

__all__ = ["JOINT_ERROR", "Plan", "evaluate_tracker", "first_frame"]

#: the tracking error that is called joint error: mean distance of bodies from the reference, both relative to their
#: roots. The published figure of that name is not defined where it is given; this is the error in metres over joints
#: that its implementation reports.
JOINT_ERROR = "body_pos"


@attrs.frozen(kw_only=True)
class Plan:
    """What is tried."""

    seeds: int = 3  # of perturbed starts, and of agents that have a setting `seed`
    every: int = 1  # control frames between the starts of the survival; 0: it is left out
    perturbed: int = 8  # perturbed starts per motion and seed; 0: none
    joint_noise: float = 0.075  # rad, standard deviation per joint axis at those
    num_envs: int = 256  # most environments side by side

    def trials(self, clips: Sequence[MotionClip], control_hz: float) -> int:
        """The largest number of starts that are played side by side."""
        frames = sum(max(1.0, clip.length * control_hz) for clip in clips) if self.every else 0.0
        largest = max(len(clips), frames / max(self.every, 1), len(clips) * self.perturbed)
        return max(1, min(self.num_envs, int(largest)))


def evaluate_tracker(
    arena: Arena,
    policy: Policy | None,
    clips: Sequence[MotionClip],
    plan: Plan,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Success from the first frame, tracking errors, survival of all start frames and of perturbed starts; JSON values.

    Args:
        say: told what is done next.
    """
    arena = attrs.evolve(arena, parts=attrs.evolve(arena.parts, env=_with_noise(arena, plan.joint_noise)))
    hz = getattr(arena.parts.env.config, "control_hz", TrackerEnv.control_hz)
    env = arena.make_env(clips, plan.trials(clips, hz))
    try:
        agents = arena.make_agents(env, policy, plan.seeds)
        say(f"following {len(clips)} motions from their first frame")
        rows = [row for agent in agents for row in first_frame(agent, env)]
        document: dict[str, Any] = {"motions": len(clips), **summarise(rows, clips)}
        alive = kicked = None
        if plan.every:
            say("starting at " + ("every frame" if plan.every == 1 else f"every {plan.every}th frame"))
            alive = _merged([survival(agent, env, plan.every) for agent in agents])
            document["survival"] = {**_over_motions(alive), "every": plan.every}
        if plan.perturbed:
            say(f"starting {plan.seeds} x {plan.perturbed} times from perturbed first frames")
            kicked, document["perturbed"] = _perturbed(agents, env, plan, arena)
    finally:
        env.close()
    document["classes"], document["clips"] = (
        _by_class(rows, clips, alive, kicked),
        _by_clip(rows, clips, alive, kicked),
    )
    return document


def first_frame(agent: Agent, env: TrackerEnv) -> list[dict[str, Any]]:
    """What became of every motion of the env from its first frame; rows as `follow` gives them."""
    ids = torch.arange(env.num_motions, device=env.motion_lengths.device)
    return follow(agent, env, ids, torch.zeros(len(ids), device=ids.device))


def summarise(rows: Sequence[dict[str, Any]], clips: Sequence[MotionClip]) -> dict[str, Any]:
    """``success`` and ``joint_error`` with intervals, and the mean ``errors``, of rows from the first frame."""
    errors = mean_errors(rows)
    sums, steps = collections.Counter[str](), collections.Counter[str]()
    for row in rows:
        sums[row["motion"]] += row["errors"].get(JOINT_ERROR, 0.0) * row["steps"]
        steps[row["motion"]] += row["steps"]
    names = [clip.name for clip in clips]
    low, high = bootstrap_ratio([sums[n] for n in names], [steps[n] for n in names])
    mean = errors.get(JOINT_ERROR)
    return {
        "success": _share(sum(row["success"] for row in rows), len(rows), len(clips)),
        "joint_error": {"mean": mean, "low": low, "high": high} if mean is not None else None,
        "errors": errors,
    }


def _share(hits: int, trials: int, independent: int | None = None) -> dict[str, Any]:
    """A share and its interval; `independent` of the trials do not follow from each other."""
    count = trials if independent is None else min(trials, independent)
    share = hits / max(trials, 1)
    low, high = wilson(share * count, count)
    return {"share": share, "low": low, "high": high, "survived": hits, "starts": trials}


def _over_motions(found: dict[str, Any]) -> dict[str, Any]:
    rows = list(found["motions"].values())
    low, high = bootstrap_ratio(
        [row["survived"] for row in rows], [row["starts"] for row in rows], is_share=True
    )
    return {
        "share": found["share"],
        "low": low,
        "high": high,
        "survived": found["survived"],
        "starts": found["starts"],
    }


def _perturbed(
    agents: Sequence[Agent], env: TrackerEnv, plan: Plan, arena: Arena
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Counts over all seeds, and the report of them."""
    found = []
    for number in range(plan.seeds):
        noise = torch.Generator(arena.device).manual_seed(arena.seed + number)
        found.append(perturbed_starts(agents[number % len(agents)], env, plan.perturbed, noise))
    merged = _merged(found)
    report = {
        **_share(merged["survived"], merged["starts"]),
        "by_seed": [one["share"] for one in found],
        "joint_noise": plan.joint_noise,
    }
    return merged, report


def _merged(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Several counts of the same motions as one."""

    def total(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        survived, starts = sum(row["survived"] for row in rows), sum(row["starts"] for row in rows)
        return {"share": survived / max(starts, 1), "survived": survived, "starts": starts}

    motions = {name: total([one["motions"][name] for one in found]) for name in found[0]["motions"]}
    return {**total(found), "motions": motions}


def _by_class(
    rows: Sequence[dict[str, Any]],
    clips: Sequence[MotionClip],
    alive: dict[str, Any] | None,
    kicked: dict[str, Any] | None,
) -> dict[str, dict[str, Any]]:
    members: dict[str, list[MotionClip]] = {}
    for clip in clips:
        members.setdefault(clip.motion_class or "unclassified", []).append(clip)
    return {name: _part(members[name], rows, alive, kicked) for name in sorted(members)}


def _by_clip(
    rows: Sequence[dict[str, Any]],
    clips: Sequence[MotionClip],
    alive: dict[str, Any] | None,
    kicked: dict[str, Any] | None,
) -> list[dict[str, Any]]:
    found = []
    for clip in clips:
        mine = [row for row in rows if row["motion"] == clip.name]
        tracked = sum(row["tracked_s"] for row in mine) / len(mine)
        head = {"motion": clip.name, "class": clip.motion_class, "length_s": mine[0]["length_s"]}
        found.append({**head, "tracked_s": tracked, **_part([clip], rows, alive, kicked)})
    return found


def _part(
    clips: Sequence[MotionClip],
    rows: Sequence[dict[str, Any]],
    alive: dict[str, Any] | None,
    kicked: dict[str, Any] | None,
) -> dict[str, Any]:
    """Shares and errors of some of the clips, without intervals: they are few."""
    names = {clip.name for clip in clips}
    mine = [row for row in rows if row["motion"] in names]
    errors = mean_errors(mine)
    part: dict[str, Any] = {
        "clips": len(clips),
        "success": sum(row["success"] for row in mine) / len(mine),
        "joint_error": errors.get(JOINT_ERROR),
        "errors": errors,
    }
    for key, counts in (("survival", alive), ("perturbed", kicked)):
        if counts is not None:
            chosen = [counts["motions"][name] for name in names]
            starts = sum(row["starts"] for row in chosen)
            part[key] = sum(row["survived"] for row in chosen) / max(starts, 1)
    return part


def _with_noise(arena: Arena, joint_noise: float) -> Use:
    """The environment with this noise of joints at perturbed starts; others of its noises stay as they are."""
    use = arena.parts.env
    config = (
        use.config if use.config is not None else arena.registry.load_config_class("tracker_env", use.name)()
    )
    if hasattr(getattr(config, "start", None), "joint_noise"):
        config = attrs.evolve(config, start=attrs.evolve(config.start, joint_noise=joint_noise))
    return attrs.evolve(use, config=config)
