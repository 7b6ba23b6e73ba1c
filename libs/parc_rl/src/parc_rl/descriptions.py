"""What a policy observes and does, as its file says it, and the check that an environment fits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from parc_core.interfaces import ActionSpec, Policy, TrackerEnv
from parc_motion.errors import DataError

__all__ = ["check_fits", "describe_action", "describe_observation", "describe_pictures"]


def describe_observation(env: TrackerEnv) -> dict[str, int]:
    """Group sizes in order, as policies record them."""
    return {group.name: group.size for group in env.observation}


def describe_pictures(env: TrackerEnv) -> dict[str, list[int]]:
    """Rows and columns of the groups that have them."""
    return {group.name: list(group.shape) for group in env.observation if group.shape}


def describe_action(action: ActionSpec) -> dict[str, Any]:
    """Kind and bounds, as policies record them."""
    bounds = {"lower": action.lower.tolist(), "upper": action.upper.tolist()}
    return {"kind": action.kind, "size": len(action.lower), **bounds}


def check_fits(policy: Policy, env: TrackerEnv, agents: Sequence[str]) -> None:
    """Refuse a policy that cannot act in an environment.

    Args:
        agents: whose policies are taken over.

    Raises:
        DataError: another agent made it, or it is for another character, other observations or other actions.
    """
    where = policy.folder / "policy.json"
    if policy.agent not in agents:
        raise DataError(
            f"{where}: made by agent '{policy.agent}'; this agent takes over policies of "
            f"{' and '.join(agents)}. Name another policy, or none to train from scratch."
        )
    if policy.skeleton != env.skeleton.id:
        raise DataError(
            f"{where}: made for character '{policy.skeleton}', the environment simulates "
            f"'{env.skeleton.id}'. Name a policy of that character, or none to train from scratch."
        )
    expected = describe_observation(env)
    if list(policy.observation.items()) != list(expected.items()):
        raise DataError(
            f"{where}: trained on observations {_groups(policy.observation)}, the environment gives "
            f"{_groups(expected)}. Configure the environment as it was then, or train from scratch."
        )
    pictures, given = policy.extra.get("pictures", {}), describe_pictures(env)
    for name, shape in given.items():
        if pictures.get(name, shape) != shape:
            raise DataError(
                f"{where}: trained on '{name}' of {' x '.join(map(str, pictures[name]))} numbers, the environment "
                f"gives {' x '.join(map(str, shape))}. Configure the environment as it was then, or train from scratch."
            )
    action = describe_action(env.action)
    for key in ("kind", "size"):
        if policy.action.get(key) != action[key]:
            raise DataError(
                f"{where}: trained on actions of {key} {policy.action.get(key)!r}, the environment takes "
                f"{action[key]!r}. Configure the environment as it was then, or train from scratch."
            )


def _groups(description: dict[str, Any]) -> str:
    return ", ".join(f"{name} [{size}]" for name, size in description.items())
