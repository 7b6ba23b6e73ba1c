"""Agent `ppo`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, ClassVar

import torch
from torch import Tensor

from parc_core.data.policy import Policy
from parc_core.errors import StageFailed
from parc_core.interfaces.agent import Agent
from parc_core.interfaces.context import StageContext
from parc_core.interfaces.tracker_env import TrackerEnv
from parc_ppo.config import ModelConfig, PpoConfig
from parc_ppo.networks import PolicyNetwork
from parc_ppo.policy_io import load_network, make_network, save_policy
from parc_ppo.trainer import Trainer

__all__ = ["PpoAgent", "torch_threads"]


class PpoAgent(Agent):
    """Proximal policy optimisation of a tracking policy.

    The published implementation's base agent cannot train by itself; this one does.
    """

    name: ClassVar[str] = "ppo"

    def __init__(self, config: PpoConfig, *, device: str = "cpu") -> None:
        self.config, self.device = config, device
        self._network: PolicyNetwork | None = None
        self._model: ModelConfig | None = None
        self._restored = False
        self._noise = torch.Generator(device=device)

    def train(self, env: TrackerEnv, ctx: StageContext) -> Policy:
        """See `Agent.train`. A restored policy keeps its normaliser as it is."""
        if self._network is None:
            self._model = self.config.model
            rng = ctx.seeds.torch("init")
            self._network = make_network(
                self.config, self._model, env, self.device, rng, self.config.obs_clip
            )
        with torch_threads(ctx.threads):
            trainer = Trainer(self.config, self._network, self._model, env, ctx, self.device, self)
            self._network = trainer.policy  # what `act` shows, also while it trains
            trainer.run(restored=self._restored)
        return save_policy(
            self._network,
            ctx.folder / "policy",
            agent=self.name,
            model=self._model,
            env=env,
            samples=trainer.samples,
            extra=trainer.summary(),
        )

    def restore(self, policy: Policy, env: TrackerEnv) -> None:
        """See `Agent.restore`; policies of `ppo` and `dmppo` serve both."""
        self._network, self._model = load_network(policy, self.config, env, self.device)
        self._network.normalizer.max_samples = 0
        self._restored = True

    def start(self, env: TrackerEnv) -> None:
        """Actions that are drawn are the same in every playback."""
        self._noise.manual_seed(0)

    def act(self, env: TrackerEnv, obs: Tensor, deterministic: bool = True) -> Tensor:
        """See `Agent.act`."""
        if self._network is None:
            raise StageFailed(
                f"agent '{self.name}': asked to act without a policy. Call train or restore first."
            )
        return self._network.act(obs, None if deterministic else self._noise)

    def select_metrics(self, values: dict[str, float], env: TrackerEnv) -> dict[str, float]:
        """Plain PPO knows nothing of tracking errors."""
        return {name: value for name, value in values.items() if not name.startswith("error/")}

    def on_checkpoint(self, env: TrackerEnv, ctx: StageContext, samples: int) -> None:
        """Nothing to add."""

    def evaluate(self, env: TrackerEnv, start_fractions: tuple[float, ...] = (0.0,)) -> dict[str, Any]:
        """See `Agent.evaluate`."""
        with torch.no_grad():
            return super().evaluate(env, start_fractions)


@contextlib.contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Let torch use `count` threads inside the block: their number changes the last bits of results."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
