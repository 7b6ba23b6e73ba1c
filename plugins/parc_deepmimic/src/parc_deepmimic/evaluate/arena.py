"""Builds the environment to measure in, and puts a policy to work in it."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np
import torch

from parc_core.config import Use, setting
from parc_core.interfaces import Agent, Policy, TrackerEnv
from parc_core.plugins import Registry
from parc_motion.clips import MotionClip
from parc_motion.errors import DataError
from parc_motion.skeletons import load_skeleton

__all__ = ["Arena", "Parts"]


@attrs.frozen(kw_only=True)
class Parts:
    """An environment, what simulates it and who acts in it."""

    env: Use = setting(Use("deepmimic"), kind="tracker_env", help="the imitation task")
    simulator: Use = setting(Use("mujoco"), kind="simulator", help="the physics")
    agent: Use = setting(Use("reference"), kind="agent", help="who acts")
    character: str = setting("humanoid", help="built-in character or an MJCF file")


@attrs.frozen(kw_only=True)
class Arena:
    """Where environments are built: the same parts for any clips."""

    registry: Registry
    parts: Parts
    device: str = "cpu"
    threads: int = 1
    seed: int = 0

    def make_env(self, clips: Sequence[MotionClip], num_envs: int) -> TrackerEnv:
        """A fresh environment over the clips.

        Raises:
            DataError: a clip is of another character.
        """
        skeleton = load_skeleton(self.parts.character)
        for clip in clips:
            clip.require_skeleton(skeleton.id, skeleton.num_joints)
        simulator = self.registry.create(
            "simulator", self.parts.simulator, device=self.device, threads=self.threads
        )
        return self.registry.create(
            "tracker_env",
            self.parts.env,
            clips=clips,
            weights=np.ones(len(clips)),
            simulator=simulator,
            num_envs=num_envs,
            skeleton=skeleton,
            rng=torch.Generator(self.device).manual_seed(self.seed),
            device=self.device,
        )

    def make_agents(self, env: TrackerEnv, policy: Policy | None, seeds: int) -> list[Agent]:
        """The agent at work in the environment: once, or where it has a setting `seed` once for each seed.

        Raises:
            DataError: the policy is for another character, or sees something else than the environment shows.
        """
        agents = []
        for use in _seeded(self.registry, self.parts.agent, seeds):
            agent = self.registry.create("agent", use, device=self.device)
            if policy is not None:
                _check_fits(policy, agent, env)
                agent.restore(policy, env)
            elif agent.trains:
                raise DataError(
                    f"agent '{use.name}' acts by a policy that it was trained to. Give the policy's folder instead."
                )
            agents.append(agent)
        return agents


def _seeded(registry: Registry, use: Use, seeds: int) -> list[Use]:
    config = use.config if use.config is not None else registry.load_config_class("agent", use.name)()
    if not hasattr(config, "seed"):
        return [use]
    return [
        attrs.evolve(use, config=attrs.evolve(config, seed=config.seed + number)) for number in range(seeds)
    ]


def _check_fits(policy: Policy, agent: Agent, env: TrackerEnv) -> None:
    where = policy.folder / "policy.json"
    if policy.skeleton != env.skeleton.id:
        raise DataError(
            f"{where}: made for character '{policy.skeleton}', but '{env.skeleton.id}' is simulated. Name the "
            "character with --set character=..., or give another policy."
        )
    theirs = {group.name: group.size for group in env.observation}
    if not agent.trains or list(policy.observation.items()) == list(theirs.items()):
        return
    parts = [
        f"{name} {policy.observation.get(name, 'none')} numbers in training, {theirs.get(name, 'none')} here"
        for name in {**policy.observation, **theirs}
        if policy.observation.get(name) != theirs.get(name)
    ]
    found = "; ".join(parts) or f"the order {', '.join(policy.observation)}, here {', '.join(theirs)}"
    raise DataError(
        f"{where}: the policy was trained on another observation: {found}. Build the environment that it was trained "
        "in: --env-from with its run or iteration file, or --set env.preset=... and the like."
    )
