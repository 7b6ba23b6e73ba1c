"""Kind `agent`: decides actions for a tracking environment."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from parc_core.interfaces.context import StageContext
from parc_core.interfaces.policy import Policy
from parc_core.interfaces.tracker_env import TrackerEnv

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Agent"]


class Agent(ABC):
    """Learns to follow references, or plans how to.

    Made with ``target(config, device=str)``. Life: `train` or `restore`, then `act`.
    """

    #: the provider's name, for reports and provenance
    name: str = ""
    #: False for an agent that only plans: nothing is gained by evaluating it after `train`
    trains: bool = True

    @abstractmethod
    def train(self, env: TrackerEnv, ctx: StageContext) -> Policy:
        """Train on the env and write the policy into ``ctx.folder / "policy"``.

        Continues exactly from the newest checkpoint in `ctx.checkpoints`, if there is one. When `restore` was called
        before, training starts from that policy. An agent that plans writes a policy without weights.
        """

    @abstractmethod
    def restore(self, policy: Policy, env: TrackerEnv) -> None:
        """Take over a policy for this env.

        Raises:
            DataError: it was trained on other observations or actions, or by another agent.
        """

    def start(self, env: TrackerEnv) -> None:
        """A playback begins on `env`: forget whatever was remembered of earlier steps. Nothing to do here."""

    @abstractmethod
    def act(self, env: TrackerEnv, obs: Tensor, deterministic: bool = True) -> Tensor:
        """Actions ``[N, A]`` for observations ``[N, O]``; `env` is for agents that plan with its simulator."""

    def evaluate(self, env: TrackerEnv, start_fractions: tuple[float, ...] = (0.0,)) -> dict[str, Any]:
        """Follow every motion of the env deterministically; see `parc_core.interfaces.evaluation.evaluate`."""
        from parc_core.interfaces.evaluation import evaluate

        return evaluate(self, env, start_fractions)
