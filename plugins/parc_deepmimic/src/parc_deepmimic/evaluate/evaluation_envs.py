"""Builds the environments that a policy is evaluated in, and the agents that act in them."""

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

__all__ = ["EvaluationEnvs", "EvaluationSetup"]


@attrs.frozen(kw_only=True)
class EvaluationSetup:
    """What is evaluated: an agent in an environment on a simulator."""

    env: Use = setting(Use("deepmimic"), kind="tracker_env", help="The tracking environment.")
    simulator: Use = setting(Use("mujoco"), kind="simulator", help="The physics simulator.")
    agent: Use = setting(Use("reference"), kind="agent", help="The agent that acts.")
    character: str = setting("humanoid", help="Name of a built-in character, or path of an MJCF file.")


@attrs.frozen(kw_only=True)
class EvaluationEnvs:
    """Builds environments over any clips, all with the same settings."""

    registry: Registry
    setup: EvaluationSetup
    device: str = "cpu"
    threads: int = 1
    seed: int = 0

    def make_env(self, clips: Sequence[MotionClip], num_envs: int) -> TrackerEnv:
        """A new environment over the clips.

        Raises:
            DataError: a clip is of another character.
        """
        skeleton = load_skeleton(self.setup.character)
        for clip in clips:
            clip.require_skeleton(skeleton.id, skeleton.num_joints)
        simulator = self.registry.create(
            "simulator", self.setup.simulator, device=self.device, threads=self.threads
        )
        return self.registry.create(
            "tracker_env",
            self.setup.env,
            clips=clips,
            weights=np.ones(len(clips)),
            simulator=simulator,
            num_envs=num_envs,
            skeleton=skeleton,
            rng=torch.Generator(self.device).manual_seed(self.seed),
            device=self.device,
        )

    def make_agents(self, env: TrackerEnv, policy: Policy | None, seeds: int) -> list[Agent]:
        """The agent, ready to act in the environment: once per seed where it `is_seeded`, otherwise once.

        Raises:
            DataError: the policy is for another character or another observation, or the agent needs a policy.
        """
        agents = [self._make_agent(env, policy)]
        if agents[0].is_seeded:
            agents += [self._make_agent(env, policy) for _ in range(1, seeds)]
            for number, agent in enumerate(agents):
                agent.reseed(number)
        return agents

    def _make_agent(self, env: TrackerEnv, policy: Policy | None) -> Agent:
        use = self.setup.agent
        agent: Agent = self.registry.create("agent", use, device=self.device)
        if policy is not None:
            _check_fits(policy, agent, env)
            agent.restore(policy, env)
        elif agent.trains:
            raise DataError(
                f"agent '{use.name}' needs a trained policy. Give the policy's folder instead of --agent."
            )
        return agent


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
