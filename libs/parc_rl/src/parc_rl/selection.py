"""The score of an evaluated policy, by which the best one is selected."""

from __future__ import annotations

from typing import Any

import attrs

from parc_core.interfaces import TrackerEnv

__all__ = ["Score", "score"]

_DECIDING = ("root_pos", "body_pos")  # m; other errors have other units and do not add up


@attrs.frozen(kw_only=True, order=True)
class Score:
    """Compared field by field, greater is better. With one rollout per motion ties are common."""

    followed: float  # share of the motions followed to their end, by weight, 0..1
    survived: float = 0.0  # share of start frames from which the end is reached, where that was measured
    tracked: float = 0.0  # weighted share of the motions' time before they were lost, 0..1
    closeness: float = 0.0  # minus the mean position errors, m


def score(evaluation: dict[str, Any], env: TrackerEnv) -> Score:
    """The score of an evaluation; motions count by their weights in the training.

    Args:
        evaluation: what `parc_core.interfaces.evaluation.evaluate` gives; what `survival` gives may be in it.
    """
    weight_of = dict(zip(env.motion_names, env.motion_weights.tolist(), strict=True))
    followed = tracked = total = 0.0
    for row in evaluation["motions"]:
        weight = weight_of[row["motion"]]
        to_go = row["length_s"] * (1.0 - row["start_fraction"])
        total += weight
        followed += weight * row["success"]
        tracked += weight * (1.0 if row["success"] else min(row["tracked_s"] / max(to_go, 1e-9), 1.0))
    errors = evaluation["errors"]
    deciding = [errors[name] for name in _DECIDING if name in errors] or list(errors.values())
    share = 1.0 / max(total, 1e-9)
    return Score(
        followed=round(followed * share, 9),
        survived=evaluation.get("survival", {}).get("share", 0.0),
        tracked=round(tracked * share, 9),
        closeness=-sum(deciding),
    )
