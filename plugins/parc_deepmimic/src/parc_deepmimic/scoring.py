"""Binds the kernels of reward and termination to a configuration and a character, once."""

from __future__ import annotations

import torch
from torch import Tensor

from parc_core.errors import ConfigError
from parc_deepmimic import rewards, terminations
from parc_deepmimic.config import RewardConfig, TerminationConfig
from parc_deepmimic.difference import Difference
from parc_motion.skeletons import Skeleton

__all__ = ["RewardModel", "TerminationModel"]


class RewardModel:
    """The reward of a state against its reference: named terms and their weighted sum.

    Terms of weight 0 are neither computed nor reported.
    """

    def __init__(self, config: RewardConfig, skeleton: Skeleton, device: str | torch.device) -> None:
        self._config = config
        # rows among the bodies after the root; a root that is a key body is never off itself
        keys = [body - 1 for body in skeleton.key_bodies if body > 0]
        self._key_rows = torch.tensor(keys, dtype=torch.long, device=device)
        by_body = _by_name(config.joint_weights, skeleton, 1.0, "reward.joint_weights")
        self._joint_weights = torch.tensor(by_body[1:], device=device)
        dofs = [joint.kind.num_dofs for joint in skeleton.joints]
        self._dof_weights = self._joint_weights.repeat_interleave(torch.tensor(dofs, device=device))
        self._contact_weights = torch.ones(skeleton.num_bodies, device=device)
        self._contact_weights[list(skeleton.key_bodies)] = config.key_contact_weight
        weights = {
            "pose": config.w_pose,
            "vel": config.w_vel,
            "root": config.w_root,
            "root_vel": config.w_root_vel,
            "key": config.w_key,
            "body_pos": config.w_body_pos,
            "body_rot": config.w_body_rot,
            "contact": config.w_contact if config.contact == "bounded" else 0.0,
        }
        total = sum(weights.values())
        if total <= 0.0:
            raise ConfigError("reward: all weights w_... are 0; give at least one of them a value above 0.")
        #: weight of each term that counts; they sum to 1
        self.weights = {name: weight / total for name, weight in weights.items() if weight > 0.0}

    def __call__(
        self, off: Difference, force: Tensor, ref_contacts: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Reward ``[N]`` and the terms before weighting, ``[N]`` each.

        Args:
            force: size of the contact forces, ``[N, B]`` N.
            ref_contacts: contact labels of the reference, ``[N, B]`` 0..1.
        """
        terms = {name: self._term(name, off, force, ref_contacts) for name in self.weights}
        reward = sum(weight * terms[name] for name, weight in self.weights.items())
        if self._config.contact == "published":
            weight = self._config.published_contact_weight
            terms["contact"] = rewards.published_contact_term(force, ref_contacts, weight)
            reward = reward + terms["contact"]
        return reward, terms

    def _term(self, name: str, off: Difference, force: Tensor, ref_contacts: Tensor) -> Tensor:
        c = self._config
        match name:
            case "pose":
                return rewards.pose_reward(off.joint_angle, self._joint_weights, c.k_pose)
            case "vel":
                return rewards.vel_reward(off.dof_vel, self._dof_weights, c.k_vel)
            case "root":
                return rewards.root_reward(off.root_square, off.body_angle[:, 0], c.k_root, c.k_root_rot)
            case "root_vel":
                return rewards.root_vel_reward(off.root_vel, off.root_ang_vel, c.k_root_vel, c.k_root_ang_vel)
            case "key":
                return rewards.key_reward(off.body_pos.index_select(1, self._key_rows), c.k_key)
            case "body_pos":
                return rewards.body_pos_reward(off.body_square, c.k_body_pos)
            case "body_rot":
                return rewards.body_rot_reward(off.body_angle, c.k_body_rot)
            case _:
                return rewards.contact_agreement(force, ref_contacts, self._contact_weights)


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

    def __call__(self, off: Difference, force: Tensor, *, training: bool) -> Tensor:
        """``[N]`` bool; `force` is the size of the contact forces, ``[N, B]`` N.

        Args:
            training: whether limits are those of training, see `TerminationConfig.training_share`.
        """
        c, share = self._config, self._config.training_share if training else 1.0
        distance, rotation = off.root_square.sqrt(), off.body_angle[:, 0]
        lost = terminations.root_lost(distance, rotation, share * c.root_pos, share * c.root_rot)
        lost = lost | terminations.body_lost(off.body_square, share * self._limits)
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
