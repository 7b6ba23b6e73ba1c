"""Policies as folders, and the check that an environment has the observations and actions that they need."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from typing import Any

import attrs
import torch

from parc_core.interfaces import ActionSpec, Policy, TrackerEnv
from parc_motion.errors import DataError
from parc_motion.storage import make_folder, read_tensors, write_tensors
from parc_ppo.actor_critic import ActorCritic
from parc_ppo.config import ModelConfig, PpoConfig
from parc_ppo.model_record import (
    describe_code,
    describe_model,
    read_model,
    warn_if_code_changed,
    warn_if_other_networks,
)
from parc_ppo.normalizer import Normalizer

__all__ = [
    "AGENTS",
    "describe_action",
    "describe_observation",
    "describe_pictures",
    "load_network",
    "make_network",
    "save_policy",
]

AGENTS = ("ppo", "dmppo")  # they train the same networks, so each takes over the other's policies
_WEIGHTS = "policy.safetensors"


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


def make_network(
    config: PpoConfig, model: ModelConfig, env: TrackerEnv, device: str, rng: torch.Generator, clip: float
) -> ActorCritic:
    """New networks for an environment; normalized observations are clipped to +- `clip`."""
    normalizer = Normalizer(env.observation, clip, config.normalizer_samples)
    return ActorCritic(model, env.observation, env.action, normalizer, rng, device).to(device)


def save_policy(
    network: ActorCritic,
    folder: pathlib.Path,
    *,
    agent: str,
    model: ModelConfig,
    env: TrackerEnv,
    samples: int,
    extra: dict[str, Any],
    weights: Mapping[str, torch.Tensor] | None = None,
    write: bool = True,
) -> Policy:
    """Write a policy into a folder; files of the same names are replaced.

    Args:
        weights: instead of those that the network has now.
        write: False in a process that is not the main one: the policy is only described.
    """
    policy = Policy(
        folder=folder,
        agent=agent,
        skeleton=env.skeleton.id,
        observation=describe_observation(env),
        action=describe_action(env.action),
        simulator=type(env.simulator).__name__,
        num_samples=samples,
        extra={
            "model": describe_model(model),
            "network_code": describe_code(model),
            "obs_clip": network.normalizer.clip,
            "pictures": describe_pictures(env),
            **extra,
        },
    )
    if not write:
        return policy
    make_folder(folder)
    write_tensors(folder / _WEIGHTS, dict(network.state_dict() if weights is None else weights))
    return policy.save()


def load_network(
    policy: Policy, config: PpoConfig, env: TrackerEnv, device: str
) -> tuple[ActorCritic, ModelConfig]:
    """The networks of a policy for an environment, and their settings.

    Networks, normalizer and the range of actions are the policy's. A fixed standard deviation in `config` replaces the
    policy's.

    Raises:
        DataError: it was made by another agent, for another character, on other observations or actions, or by a
            network that is not available here.
        CorruptArtifact: its weights cannot be read.
    """
    _check_fits(policy, env)
    where = policy.folder / "policy.json"
    model = read_model(policy.extra.get("model", {}), str(where), config.model)
    warn_if_code_changed(policy.extra.get("network_code", {}), model, str(where))
    warn_if_other_networks(model, config.model, str(where))
    try:
        clip = float(policy.extra["obs_clip"])
    except (KeyError, TypeError, ValueError) as err:
        raise DataError(f"{where}: describes no network ({err}). Was it written by another version?") from err
    wanted = config.model.actor_std_type
    if model.actor_std_type != wanted:
        if "VARIABLE" in (model.actor_std_type, wanted):
            raise DataError(
                f"{where}: actor_std_type is {model.actor_std_type}, the agent's settings say {wanted}; "
                f"their networks differ. Set model.actor_std_type={model.actor_std_type}, or train from scratch."
            )
        model = attrs.evolve(model, actor_std_type=wanted, final_action_std=None)
    tensors = read_tensors(policy.folder / _WEIGHTS, device)
    network = make_network(config, model, env, device, torch.Generator().manual_seed(0), clip)
    try:
        network.load_state_dict(tensors)
    except RuntimeError as err:
        raise DataError(
            f"{policy.folder / _WEIGHTS}: does not fit the network in {where.name}: {err}"
        ) from err
    if wanted == "FIXED":
        given = config.model
        model = attrs.evolve(model, action_std=given.action_std, final_action_std=given.final_action_std)
        network.set_std(given.action_std)
    return network, model


def _check_fits(policy: Policy, env: TrackerEnv) -> None:
    where = policy.folder / "policy.json"
    if policy.agent not in AGENTS:
        raise DataError(
            f"{where}: made by agent '{policy.agent}'; this agent takes over policies of "
            f"{' and '.join(AGENTS)}. Name another policy, or none to train from scratch."
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
