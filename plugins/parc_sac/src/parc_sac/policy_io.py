"""Policies as folders."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from typing import Any

import torch

from parc_core.config import dump
from parc_core.errors import ConfigError
from parc_core.interfaces import Policy, TrackerEnv
from parc_motion.errors import DataError
from parc_motion.storage import make_folder, read_tensors, write_tensors
from parc_rl.descriptions import check_fits, describe_action, describe_observation, describe_pictures
from parc_rl.normalizer import Normalizer
from parc_sac.config import ModelConfig, SacConfig
from parc_sac.networks import SacNetwork

__all__ = ["AGENTS", "describe_model", "load_network", "make_network", "save_policy"]

AGENTS = ("sac",)
_WEIGHTS = "policy.safetensors"


def make_network(
    config: SacConfig, model: ModelConfig, env: TrackerEnv, device: str, rng: torch.Generator, clip: float
) -> SacNetwork:
    """New networks for an environment; normalized observations are clipped to +- `clip`."""
    normalizer = Normalizer(env.observation, clip, config.normalizer_samples)
    network = SacNetwork(
        model, env.observation, env.action, normalizer, rng, std=config.target_std, alpha=config.init_alpha
    )
    return network.to(device)


def save_policy(
    network: SacNetwork,
    folder: pathlib.Path,
    *,
    agent: str,
    model: Mapping[str, Any],
    env: TrackerEnv,
    samples: int,
    weights: Mapping[str, torch.Tensor],
    extra: Mapping[str, Any],
) -> Policy:
    """Write a policy into a folder; files of the same names are replaced.

    Args:
        model: settings of the networks, JSON values.
        weights: of the policy, in place of those that the network has now.
        extra: what else its file says.
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
            "model": dict(model),
            "obs_clip": network.normalizer.clip,
            "pictures": describe_pictures(env),
            **extra,
        },
    )
    make_folder(folder)
    write_tensors(folder / _WEIGHTS, dict(weights))
    return policy.save()


def load_network(
    policy: Policy, config: SacConfig, env: TrackerEnv, device: str
) -> tuple[SacNetwork, ModelConfig]:
    """The networks of a policy for an environment, and their settings, which are the policy's.

    Raises:
        DataError: it was made by another agent, for another character, or on other observations or actions.
        CorruptArtifact: its weights cannot be read.
    """
    check_fits(policy, env, AGENTS)
    where = policy.folder / "policy.json"
    try:
        fields = dict(policy.extra["model"])
        for name in ("actor_units", "critic_units"):
            fields[name] = tuple(fields[name])
        model, clip = ModelConfig(**fields), float(policy.extra["obs_clip"])
    except (KeyError, TypeError, ValueError, ConfigError) as err:
        raise DataError(f"{where}: describes no network ({err}). Was it written by another version?") from err
    tensors = read_tensors(policy.folder / _WEIGHTS, device)
    network = make_network(config, model, env, device, torch.Generator().manual_seed(0), clip)
    try:
        network.load_state_dict(tensors)
    except RuntimeError as err:
        raise DataError(
            f"{policy.folder / _WEIGHTS}: does not fit the network in {where.name}: {err}"
        ) from err
    return network, model


def describe_model(model: ModelConfig) -> dict[str, Any]:
    """The settings of the networks as JSON values."""
    found: dict[str, Any] = dump(model)
    return found
