"""Kind `agent`: decides actions for a tracking environment."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from parc_core.interfaces.context import StageContext
from parc_core.interfaces.policy import Policy
from parc_core.interfaces.tracker_env import TrackerEnv

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Agent"]


class Agent(ABC):
    """Learns to follow references, or plans how to.

    Made with ``target(config, device=str)``. A run calls `train`, or `restore` with a policy trained before; then, for
    every playback, ``env.playback(...)``, `start`, and `act` before each control step. All that a run, an evaluation
    or a recorder asks of an agent is in this class; `parc_testing.contracts.agent.AgentContract` checks it.

    A working agent, which sends every servo to the reference's pose and learns nothing:

    >>> class ReferenceAgent(Agent):
    ...     name, trains = "reference", False
    ...     def __init__(self, config, *, device):
    ...         self.device = device
    ...     def train(self, env, ctx):
    ...         folder = ctx.folder / "policy"
    ...         folder.mkdir(parents=True, exist_ok=True)
    ...         return Policy(
    ...             folder=folder, agent=self.name, skeleton=env.skeleton.id, observation={}, action={}
    ...         ).save()
    ...     def restore(self, policy, env):
    ...         pass
    ...     def act(self, env, obs, deterministic=True):
    ...         ref = env.reference(env.motion_ids, env.motion_times + 1.0 / env.control_hz)
    ...         pose = Kinematics(env.skeleton, device=self.device).joint_rot_to_dof(ref.joint_rot)
    ...         return env.action_for(pose)

    Metrics that `train` writes are called ``tracker/<group>/<quantity>``; wall times since the last record belong into
    the group ``time`` and end in ``_s``, for instance ``tracker/time/rollout_s`` and ``tracker/time/update_s``.
    """

    #: the name under which it is registered; for policies, reports and provenance
    name: ClassVar[str] = ""
    #: names of other agents whose policies `restore` accepts, so that a run can continue with this one
    accepts: ClassVar[frozenset[str]] = frozenset()
    #: False for an agent that only plans: it needs no policy to act, and a run does not evaluate it after `train`
    trains: ClassVar[bool] = True
    #: whether `train` can be called in several processes at once, which train together; see `Parallel`. Each has an
    #: environment of its share of the settings' `num_envs`; only the main process writes the policy
    data_parallel: ClassVar[bool] = False
    #: True where actions depend on a seed even with ``deterministic=True``, as those of a sampling planner do:
    #: evaluations then repeat a motion with several seeds, see `reseed`
    is_seeded: ClassVar[bool] = False

    @property
    def num_attempts(self) -> int:
        """Number of settings to try on one motion, from cheap to thorough; see `escalate`. At least 1."""
        return 1

    @abstractmethod
    def train(self, env: TrackerEnv, ctx: StageContext) -> Policy:
        """Train on the env and write the policy into ``ctx.folder / "policy"``.

        Continues exactly from the newest checkpoint in `ctx.checkpoints`, if there is one. When `restore` was called
        before, training starts from that policy. An agent that plans writes a policy without weights.
        """

    @abstractmethod
    def restore(self, policy: Policy, env: TrackerEnv) -> None:
        """Use a policy for this env.

        Raises:
            DataError: it was trained on other observations or actions, or by another agent.
        """

    def escalate(self, attempt: int) -> None:
        """Use the settings of an attempt from the next `start` on.

        A recorder that lost a motion tries it again with attempt 1, 2, ... and sets attempt 0 afterwards.

        Args:
            attempt: 0 (the configured settings) to ``num_attempts - 1``.
        """

    def reseed(self, number: int) -> None:
        """Use another sequence of random numbers from the next `start` on; called only where `is_seeded`.

        Args:
            number: 0 stands for the configured seed; other numbers give other, reproducible sequences.
        """

    def start(self, env: TrackerEnv) -> None:
        """A playback begins on `env`: reset all internal state. Repeated playbacks then give equal actions."""

    @abstractmethod
    def act(self, env: TrackerEnv, obs: Tensor, deterministic: bool = True) -> Tensor:
        """Actions ``[N, A]`` for observations ``[N, O]``; called without gradients.

        Args:
            env: for agents that plan with its simulator. Actions of environments that ``env.active`` does not mark
                have no effect and need not be planned; they must be finite.
            obs: of the present state.
            deterministic: False adds exploration noise, as in training.
        """

    def evaluate(self, env: TrackerEnv, start_fractions: tuple[float, ...] = (0.0,)) -> dict[str, Any]:
        """Follow every motion of the env deterministically; see `parc_core.interfaces.evaluation.evaluate`."""
        from parc_core.interfaces.evaluation import evaluate

        return evaluate(self, env, start_fractions)

    def robustness(self, env: TrackerEnv, every: int = 0, tries: int = 0) -> dict[str, Any]:
        """Shares of starts from which motions are followed to their end, deterministically.

        Args:
            every: ``survival`` of every k-th start frame of each motion; 0 leaves it out.
            tries: ``perturbed`` starts at the first frame per motion, the same ones in every call; 0 leaves them out.

        Returns:
            ``survival`` and ``perturbed``, as `parc_core.interfaces.survival` gives them: each with ``share`` 0..1,
            ``survived``, ``starts`` and ``motions`` {name: {share, survived, starts}}.
        """
        import torch

        from parc_core.interfaces.survival import perturbed_starts, survival

        found: dict[str, Any] = {}
        if every:
            found["survival"] = survival(self, env, every)
        if tries:
            rng = torch.Generator(env.motion_lengths.device).manual_seed(0)
            found["perturbed"] = perturbed_starts(self, env, tries, rng)
        return found
