"""Policies as folders."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from typing import Any

import attrs
import torch

from parc_core.interfaces import Policy, TrackerEnv
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
from parc_rl.descriptions import check_fits, describe_action, describe_observation, describe_pictures
from parc_rl.normalizer import Normalizer

__all__ = ["AGENTS", "load_network", "make_network", "save_policy"]

AGENTS = ("ppo", "dmppo")  # they train the same networks, so each takes over the other's policies
_WEIGHTS = "policy.safetensors"


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
    check_fits(policy, env, AGENTS)
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
