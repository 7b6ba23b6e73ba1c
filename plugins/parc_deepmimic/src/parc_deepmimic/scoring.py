"""Binds the kernels of reward and termination to a configuration and a character, once."""

from __future__ import annotations

import torch
from torch import Tensor

from parc_core.data.skeleton import Skeleton
from parc_core.errors import ConfigError
from parc_core.interfaces.simulator import BodyState
from parc_core.interfaces.tracker_env import Reference
from parc_deepmimic import rewards, terminations
from parc_deepmimic.config import RewardConfig, TerminationConfig

__all__ = ["RewardModel", "TerminationModel"]


class RewardModel:
    """The reward of a state against its reference: named terms and their weighted sum."""

    def __init__(self, config: RewardConfig, skeleton: Skeleton, device: str | torch.device) -> None:
        self._config = config
        self._key_bodies = torch.tensor(skeleton.key_bodies, dtype=torch.long, device=device)
        by_body = _by_name(config.joint_weights, skeleton, 1.0, "reward.joint_weights")
        self._joint_weights = torch.tensor(by_body[1:], device=device)
        dofs = [joint.kind.num_dofs for joint in skeleton.joints]
        self._dof_weights = self._joint_weights.repeat_interleave(torch.tensor(dofs, device=device))
        self._contact_weights = torch.ones(skeleton.num_bodies, device=device)
        self._contact_weights[self._key_bodies] = config.key_contact_weight
        weights = {
            "pose": config.w_pose,
            "vel": config.w_vel,
            "root": config.w_root,
            "root_vel": config.w_root_vel,
            "key": config.w_key,
            "contact": config.w_contact if config.contact == "bounded" else 0.0,
        }
        total = sum(weights.values())
        if total <= 0.0:
            raise ConfigError("reward: all weights w_... are 0; give at least one of them a value above 0.")
        self._weights = {name: weight / total for name, weight in weights.items()}

    def __call__(self, state: BodyState, ref: Reference, force: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Reward ``[N]`` and the terms before weighting, ``[N]`` each.

        Args:
            force: size of the contact forces, ``[N, B]`` N.
        """
        c = self._config
        key = state.body_pos[:, self._key_bodies] - state.root_pos[:, None]
        ref_key = ref.body_pos[:, self._key_bodies] - ref.root_pos[:, None]
        terms = {
            "pose": rewards.pose_reward(state.joint_rot, ref.joint_rot, self._joint_weights, c.k_pose),
            "vel": rewards.vel_reward(state.dof_vel, ref.dof_vel, self._dof_weights, c.k_vel),
            "root": rewards.root_reward(
                state.root_pos, ref.root_pos, state.root_rot, ref.root_rot, c.k_root, c.k_root_rot
            ),
            "root_vel": rewards.root_vel_reward(
                state.root_vel,
                ref.root_vel,
                state.root_ang_vel,
                ref.root_ang_vel,
                c.k_root_vel,
                c.k_root_ang_vel,
            ),
            "key": rewards.key_reward(key, ref_key, c.k_key),
        }
        if c.contact == "bounded":
            terms["contact"] = rewards.contact_agreement(force, ref.contacts, self._contact_weights)
            return sum(self._weights[name] * term for name, term in terms.items()), terms
        reward = sum(self._weights[name] * term for name, term in terms.items())
        terms["contact"] = rewards.published_contact_term(force, ref.contacts, c.published_contact_weight)
        return reward + terms["contact"], terms


class TerminationModel:
    """Which characters have lost their reference."""

    def __init__(
        self,
        config: TerminationConfig,
        skeleton: Skeleton,
        contact_threshold: float,
        device: str | torch.device,
    ) -> None:
        self._config, self._threshold = config, contact_threshold
        limits = _by_name(config.body_pos_of, skeleton, config.body_pos, "termination.body_pos_of")
        self._limits = torch.tensor(limits[1:], device=device)
        ids = [skeleton.body_id(name) for name in config.fall_bodies]
        self._fall_bodies = torch.tensor(ids, dtype=torch.long, device=device)

    def __call__(self, state: BodyState, ref: Reference, errors: dict[str, Tensor], force: Tensor) -> Tensor:
        """``[N]`` bool; `errors` are the tracking errors of the same states."""
        c = self._config
        lost = terminations.root_lost(errors["root_pos"], errors["root_rot"], c.root_pos, c.root_rot)
        body = (state.body_pos - state.root_pos[:, None])[:, 1:]
        ref_body = (ref.body_pos - ref.root_pos[:, None])[:, 1:]
        lost = lost | terminations.body_lost(body, ref_body, self._limits)
        if len(self._fall_bodies):
            lost = lost | terminations.fallen(force, self._fall_bodies, self._threshold)
        return lost


def _by_name(values: dict[str, float], skeleton: Skeleton, default: float, where: str) -> list[float]:
    unknown = [name for name in values if name not in skeleton.body_names]
    if unknown:
        raise ConfigError(
            f"{where}: character '{skeleton.id}' has no body '{unknown[0]}'; it has "
            f"{', '.join(skeleton.body_names)}. Set {where} for this character ({{}} gives every body {default:g})."
        )
    return [float(values.get(name, default)) for name in skeleton.body_names]
