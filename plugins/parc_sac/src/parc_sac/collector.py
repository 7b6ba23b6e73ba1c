"""Takes control steps with the actor; in its own thread while the networks learn, where that is wanted."""

from __future__ import annotations

import copy
from concurrent.futures import Future, ThreadPoolExecutor

import attrs
import torch
from torch import Tensor, nn

from parc_core.interfaces import Step, TrackerEnv, stop_point
from parc_sac.networks import SacNetwork

__all__ = ["Ahead", "Behavior", "Collected", "collect"]


@attrs.frozen(kw_only=True, eq=False)
class Collected:
    """Some control steps of every environment."""

    obs: list[Tensor]  # [N, O] before each step
    actions: list[Tensor]  # [N, A], normalized
    steps: list[Step]


class Behavior(nn.Module):
    """What acting needs of the networks."""

    def __init__(self, network: SacNetwork) -> None:
        super().__init__()
        self.actor, self.normalizer = network.actor, network.normalizer


@torch.no_grad()
def collect(
    env: TrackerEnv,
    network: SacNetwork,
    behavior: Behavior | SacNetwork,
    obs: Tensor,
    num_steps: int,
    rng: torch.Generator,
) -> Collected:
    """Control steps with sampled actions, from `obs` ``[N, O]`` on.

    Args:
        network: for the range of actions.
        behavior: actor and normalizer.

    Without `torch.inference_mode`: an environment keeps tensors between steps that are used outside of it.
    """
    found = Collected(obs=[], actions=[], steps=[])
    for _ in range(num_steps):
        stop_point()
        action, _ = behavior.actor.sample(behavior.normalizer(obs), rng)
        step = env.step(network.to_env(action))
        found.obs.append(obs)
        found.actions.append(action)
        found.steps.append(_copy(step))
        obs = found.steps[-1].obs
    return found


def _copy(step: Step) -> Step:
    """The same in tensors of its own: an environment may use its own again in the next step."""
    return Step(
        obs=step.obs.clone(),
        reward=step.reward.clone(),
        done=step.done.clone(),
        final_obs=step.final_obs.clone(),
        errors={name: value.clone() for name, value in step.errors.items()},
        reward_terms={name: value.clone() for name, value in step.reward_terms.items()},
    )


class Ahead:
    """Collects in its own thread, with a copy of the actor from the start of the iteration.

    Simulators and matrix products release Python's GIL, so both run at once. Results do not depend on timing: between
    `start` and `finish` the environment and the random numbers of actions belong to the collecting thread alone.
    """

    def __init__(self, env: TrackerEnv, network: SacNetwork, rng: torch.Generator) -> None:
        self._env, self._network, self._rng = env, network, rng
        self._behavior = copy.deepcopy(Behavior(network)).requires_grad_(False)
        self._pool = ThreadPoolExecutor(
            max_workers=1, thread_name_prefix="collect", initializer=torch.set_num_threads, initargs=(1,)
        )
        self._running: Future[Collected] | None = None

    @torch.no_grad()
    def start(self, obs: Tensor, num_steps: int) -> None:
        """Start to collect from `obs` on with the present actor, which may be updated meanwhile."""
        for kept, value in zip(
            self._behavior.state_dict().values(), Behavior(self._network).state_dict().values()
        ):
            kept.copy_(value)
        self._running = self._pool.submit(
            collect, self._env, self._network, self._behavior, obs, num_steps, self._rng
        )

    def finish(self) -> Collected | None:
        """Wait for what was started; None if nothing was.

        Raises:
            Exception: any that the collecting thread raised.
        """
        running, self._running = self._running, None
        return None if running is None else running.result()

    def discard(self) -> None:
        """Wait for what was started and forget it, and any error in it."""
        running, self._running = self._running, None
        if running is not None:
            running.exception()

    def close(self) -> None:
        """Wait for what is running and end the thread."""
        self._pool.shutdown(wait=True)
