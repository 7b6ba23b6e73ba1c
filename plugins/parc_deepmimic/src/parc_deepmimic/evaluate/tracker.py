"""`parc eval tracker`: how well one agent follows a set of motions."""

from __future__ import annotations

import collections
from collections.abc import Callable, Sequence
from typing import Any

import attrs
import torch

from parc_core.interfaces import Agent, Policy, TrackerEnv
from parc_core.interfaces.evaluation import follow, mean_errors
from parc_core.interfaces.survival import perturbed_starts, survival
from parc_deepmimic.evaluate.evaluation_envs import EvaluationEnvs
from parc_deepmimic.evaluate.intervals import bootstrap_ratio, wilson
from parc_motion.clips import MotionClip

__all__ = ["JOINT_ERROR", "Plan", "evaluate_tracker", "first_frame"]

#: the tracking error that is called joint error: mean distance of bodies from the reference, both relative to their
#: roots. The paper does not define its figure of this name; this is the error over joints in meters that the published
#: implementation reports.
JOINT_ERROR = "body_pos"


@attrs.frozen(kw_only=True)
class Plan:
    """From which starts motions are followed."""

    seeds: int = 3  # seeds of perturbed starts, and of agents that have a setting `seed`
    every: int = 1  # control frames between the starts of the survival; 0: no survival
    perturbed: int = 8  # perturbed starts per motion and seed; 0: none
    joint_noise: float = 0.075  # rad, standard deviation per joint axis at perturbed starts
    num_envs: int = 256  # largest number of environments side by side

    def num_trials(self, clips: Sequence[MotionClip]) -> int:
        """Number of environments: as many as there are starts to play, at most `num_envs`."""
        frames = sum(max(1, clip.num_frames - 1) for clip in clips) if self.every else 0
        largest = max(len(clips), frames / max(self.every, 1), len(clips) * self.perturbed)
        return max(1, min(self.num_envs, int(largest)))


def evaluate_tracker(
    envs: EvaluationEnvs,
    policy: Policy | None,
    clips: Sequence[MotionClip],
    plan: Plan,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Success from the first frame, tracking errors, survival of all start frames and of perturbed starts; JSON values.

    Args:
        say: called with a line for people before each part.
    """
    env = envs.make_env(clips, plan.num_trials(clips))
    try:
        env.set_joint_noise(plan.joint_noise)
        agents = envs.make_agents(env, policy, plan.seeds)
        say(f"following {len(clips)} motions from their first frame")
        rows = [row for agent in agents for row in first_frame(agent, env)]
        document: dict[str, Any] = {"motions": len(clips), **summarize(rows, clips)}
        survivals = perturbed = None
        if plan.every:
            say("starting at " + ("every frame" if plan.every == 1 else f"every {plan.every}th frame"))
            survivals = _merged([survival(agent, env, plan.every) for agent in agents])
            document["survival"] = {**_over_motions(survivals), "every": plan.every}
        if plan.perturbed:
            say(f"starting {plan.seeds} x {plan.perturbed} times from perturbed first frames")
            perturbed, document["perturbed"] = _perturbed(agents, env, plan, envs)
    finally:
        env.close()
    document["classes"], document["clips"] = (
        _by_class(rows, clips, survivals, perturbed),
        _by_clip(rows, clips, survivals, perturbed),
    )
    return document


def first_frame(agent: Agent, env: TrackerEnv) -> list[dict[str, Any]]:
    """Every motion of the env followed from its first frame; rows as `follow` gives them."""
    ids = torch.arange(env.num_motions, device=env.motion_lengths.device)
    return follow(agent, env, ids, torch.zeros(len(ids), device=ids.device))


def summarize(rows: Sequence[dict[str, Any]], clips: Sequence[MotionClip]) -> dict[str, Any]:
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
    """A share and its confidence interval; only `independent` of the trials are independent of each other."""
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
    agents: Sequence[Agent], env: TrackerEnv, plan: Plan, envs: EvaluationEnvs
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Counts over all seeds, and the report of them."""
    found = []
    for number in range(plan.seeds):
        noise = torch.Generator(envs.device).manual_seed(envs.seed + number)
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
    survivals: dict[str, Any] | None,
    perturbed: dict[str, Any] | None,
) -> dict[str, dict[str, Any]]:
    members: dict[str, list[MotionClip]] = {}
    for clip in clips:
        members.setdefault(clip.motion_class or "unclassified", []).append(clip)
    return {name: _part(members[name], rows, survivals, perturbed) for name in sorted(members)}


def _by_clip(
    rows: Sequence[dict[str, Any]],
    clips: Sequence[MotionClip],
    survivals: dict[str, Any] | None,
    perturbed: dict[str, Any] | None,
) -> list[dict[str, Any]]:
    found = []
    for clip in clips:
        mine = [row for row in rows if row["motion"] == clip.name]
        tracked = sum(row["tracked_s"] for row in mine) / len(mine)
        head = {"motion": clip.name, "class": clip.motion_class, "length_s": mine[0]["length_s"]}
        found.append({**head, "tracked_s": tracked, **_part([clip], rows, survivals, perturbed)})
    return found


def _part(
    clips: Sequence[MotionClip],
    rows: Sequence[dict[str, Any]],
    survivals: dict[str, Any] | None,
    perturbed: dict[str, Any] | None,
) -> dict[str, Any]:
    """Shares and errors of some of the clips, without intervals: there are too few clips for them."""
    names = {clip.name for clip in clips}
    mine = [row for row in rows if row["motion"] in names]
    errors = mean_errors(mine)
    part: dict[str, Any] = {
        "clips": len(clips),
        "success": sum(row["success"] for row in mine) / len(mine),
        "joint_error": errors.get(JOINT_ERROR),
        "errors": errors,
    }
    for key, counts in (("survival", survivals), ("perturbed", perturbed)):
        if counts is not None:
            chosen = [counts["motions"][name] for name in names]
            starts = sum(row["starts"] for row in chosen)
            part[key] = sum(row["survived"] for row in chosen) / max(starts, 1)
    return part
