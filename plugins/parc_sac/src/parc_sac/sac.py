"""Agent `sac`."""

from __future__ import annotations

import pathlib
from typing import Any

import torch
from torch import Tensor

from parc_core.errors import StageFailed
from parc_core.interfaces import Agent, Policy, StageContext, TrackerEnv
from parc_rl.threads import torch_threads
from parc_sac.config import ModelConfig, SacConfig
from parc_sac.networks import Actor, SacNetwork
from parc_sac.policy_io import AGENTS, load_network, make_network, save_policy
from parc_sac.trainer import Trainer

__all__ = ["SacAgent"]


class SacAgent(Agent):
    """Soft actor-critic with distributional critics, n-step returns and an adapted temperature."""

    name = "sac"
    accepts = frozenset(AGENTS)

    def __init__(self, config: SacConfig, *, device: str = "cpu") -> None:
        self.config, self.device = config, device
        self._network: SacNetwork | None = None
        self._model: ModelConfig | None = None
        self._restored = False
        self._noise = torch.Generator(device=device)
        self._trainer: Trainer | None = None

    def train(self, env: TrackerEnv, ctx: StageContext) -> Policy:
        """See `Agent.train`. The normalizer of a restored policy does not change."""
        if self._network is None or self._model is None:
            self._model, rng = self.config.model, ctx.seeds.torch("init")
            self._network = make_network(
                self.config, self._model, env, self.device, rng, self.config.obs_clip
            )
        # with `overlap` the simulator's threads collect meanwhile and get the other half of the cores
        with torch_threads(max(1, ctx.threads // 2) if self.config.overlap else ctx.threads):
            self._trainer = Trainer(self.config, self._network, self._model, env, ctx, self.device, self)
            self._trainer.run(restored=self._restored)
        policy = self._save(self._trainer, ctx.folder / "policy")
        self._network.load_state_dict(self._trainer.weights())
        self._trainer = None  # the policy acts from now on, and the replay is not needed
        return policy

    def restore(self, policy: Policy, env: TrackerEnv) -> None:
        """See `Agent.restore`."""
        self._network, self._model = load_network(policy, self.config, env, self.device)
        self._network.normalizer.max_samples = 0
        self._restored, self._trainer = True, None

    def start(self, env: TrackerEnv) -> None:
        """See `Agent.start`: sampled actions are the same in every playback."""
        self._noise.manual_seed(0)

    @torch.no_grad()
    def act(self, env: TrackerEnv, obs: Tensor, deterministic: bool = True) -> Tensor:
        """See `Agent.act`."""
        network = self._network
        if network is None:
            raise StageFailed(
                f"agent '{self.name}': asked to act without a policy. Call train or restore first."
            )
        actor: Actor = network.actor if self._trainer is None else self._trainer.actor
        norm_obs = network.normalizer(obs)
        action = actor.mean_action(norm_obs) if deterministic else actor.sample(norm_obs, self._noise)[0]
        return network.to_env(action)

    def evaluate(self, env: TrackerEnv, start_fractions: tuple[float, ...] = (0.0,)) -> dict[str, Any]:
        """See `Agent.evaluate`."""
        with torch.no_grad():
            return super().evaluate(env, start_fractions)

    def robustness(self, env: TrackerEnv, every: int = 0, tries: int = 0) -> dict[str, Any]:
        """See `Agent.robustness`."""
        with torch.no_grad():
            return super().robustness(env, every, tries)

    def write_policy(self, folder: pathlib.Path) -> None:
        """Write the policy that would be kept if the training ended now."""
        if self._trainer is None:
            raise StageFailed(f"agent '{self.name}': there is no training whose policy could be written.")
        self._save(self._trainer, folder)

    def _save(self, trainer: Trainer, folder: pathlib.Path) -> Policy:
        return save_policy(
            trainer.state.network,
            folder,
            agent=self.name,
            model=trainer.state.model,
            env=trainer.env,
            samples=trainer.samples,
            weights=trainer.weights(),
            extra=trainer.summary(),
        )
