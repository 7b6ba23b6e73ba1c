"""The observation vector: which parts, in which order, for a configuration."""

from __future__ import annotations

import torch
from torch import Tensor

from parc_core.data.skeleton import Skeleton
from parc_core.errors import ConfigError
from parc_core.geometry.heights import grid_offsets, height_patch
from parc_core.geometry.packed import PackedTerrains
from parc_core.interfaces.simulator import BodyState
from parc_core.interfaces.tracker_env import ObservationGroup, Reference
from parc_core.kinematics import rotations as rot
from parc_deepmimic.config import ObservationConfig
from parc_deepmimic.observations import ground_heights, own_state, pose_targets, ray_offsets
from parc_deepmimic.reference import MotionLibrary

__all__ = ["ObservationLayout"]


class ObservationLayout:
    """Builds observations ``[N, O]`` of states against references.

    Order of the published observation: own state, targets, target contacts, own contacts, ground heights. Heights and
    contacts are marked as not to be normalised.
    """

    def __init__(
        self,
        config: ObservationConfig,
        skeleton: Skeleton,
        library: MotionLibrary,
        terrains: PackedTerrains,
        control_hz: float,
        contact_threshold: float,
    ) -> None:
        _check(config)
        self._config, self._library, self._terrains = config, library, terrains
        self._threshold = contact_threshold
        device = library.lengths.device
        self._key_bodies = torch.tensor(skeleton.key_bodies, dtype=torch.long, device=device)
        self._ahead = torch.tensor(config.target_steps, device=device) / control_hz  # [S] s
        self._points = _points(config, device)
        joints, dofs, keys = skeleton.num_joints, skeleton.num_dofs, len(skeleton.key_bodies)
        self._pose_size = 6 * joints if config.pose == "rot6d" else dofs
        self.groups = _groups(config, skeleton.num_bodies, self._pose_size, dofs, keys, self._points)
        self._table, self._widths = self._target_table(library.frames)

    @property
    def size(self) -> int:
        """O."""
        return sum(group.size for group in self.groups)

    def __call__(
        self,
        state: BodyState,
        motion_ids: Tensor,
        times: Tensor,
        terrain_ids: Tensor,
        contacts: Tensor,
        on_frames: bool,
    ) -> Tensor:
        """Observations ``[N, O]``.

        Args:
            state: N characters.
            motion_ids: ``[N]`` motion that each follows.
            times: ``[N]`` s, where it is in it.
            terrain_ids: ``[N]`` terrain that it stands on.
            contacts: ``[N, B]`` bool, which bodies touch something.
            on_frames: see `MotionLibrary.query`.
        """
        config = self._config
        yaw = rot.heading(state.root_rot)
        cos, sin = torch.cos(yaw), torch.sin(yaw)
        key_offset = state.body_pos[:, self._key_bodies] - state.root_pos[:, None]
        axes, moving, keys = own_state(
            state.root_rot, state.root_vel, state.root_ang_vel, key_offset, cos, sin
        )
        pose = self._pose(state.joint_rot)
        parts = [axes, moving, pose, state.dof_vel, keys]
        if config.root_height:
            ground = self._terrains.height_at(terrain_ids, state.root_pos[:, :2])
            parts.insert(0, (state.root_pos[:, 2] - ground)[:, None])
        targets, target_contacts = self._targets(state.root_pos, pose, motion_ids, times, cos, sin, on_frames)
        parts.append(targets)
        if config.target_contacts:
            parts.append(target_contacts)
        if config.contacts:
            parts.append(contacts.to(pose.dtype))
        if self._points is not None:
            height = height_patch(self._terrains, terrain_ids, state.root_pos[:, :2], yaw, self._points)
            parts.append(ground_heights(height, state.root_pos[:, 2], config.height_clip))
        return torch.cat(parts, dim=1)

    def _targets(
        self,
        root_pos: Tensor,
        pose: Tensor,
        motion_ids: Tensor,
        times: Tensor,
        cos: Tensor,
        sin: Tensor,
        on_frames: bool,
    ) -> tuple[Tensor, Tensor]:
        steps = len(self._ahead)
        ids = motion_ids[:, None].expand(-1, steps)
        at = times[:, None] + self._ahead
        if on_frames:
            rows, loops = self._library.rows(ids, at)
            features = self._table[rows]
            if self._library.any_loops:
                features[..., :3] += self._library.travel[ids] * loops[..., None]
        else:
            ref = self._library.query(ids.flatten(), at.flatten())
            features = self._target_table(ref)[0].unflatten(0, (-1, steps))
        ref_root, ref_axes, ref_keys, ref_pose, contacts = features.split(self._widths, dim=-1)
        keys = ref_keys.unflatten(-1, (-1, 3))
        where = pose_targets(root_pos, ref_root, ref_axes, keys, cos, sin)
        if self._config.target_difference:
            ref_pose = ref_pose - pose[:, None]
        # published order of a target: root position, root axes, pose, key bodies
        target = torch.cat([where[..., :9], ref_pose, where[..., 9:]], dim=-1)
        return target.flatten(1), contacts.flatten(1)

    def _target_table(self, ref: Reference) -> tuple[Tensor, list[int]]:
        keys = ref.body_pos[:, self._key_bodies] - ref.root_pos[:, None]
        axes = rot.quat_to_rot6d(ref.root_rot)
        parts = [ref.root_pos, axes, keys.flatten(1), self._pose(ref.joint_rot), ref.contacts]
        return torch.cat(parts, dim=1), [part.shape[1] for part in parts]

    def _pose(self, joint_rot: Tensor) -> Tensor:
        if self._config.pose == "rot6d":
            return rot.quat_to_rot6d(joint_rot).flatten(1)
        return self._library.kinematics.joint_rot_to_dof(joint_rot)


def _check(config: ObservationConfig) -> None:
    if not config.target_steps or min(config.target_steps) < 1:
        raise ConfigError(
            f"observation.target_steps is {list(config.target_steps)}; give control steps ahead, each at least 1."
        )
    if config.target_difference and config.pose != "dof":
        raise ConfigError(
            "observation.target_difference: differences of rotation axes mean nothing; "
            f"set `pose: dof` (it is '{config.pose}') or `target_difference: false`."
        )


def _points(config: ObservationConfig, device: torch.device) -> Tensor | None:
    if config.terrain == "rays":
        return ray_offsets(config.num_rays, config.ray_start, config.ray_end, config.ray_spacing, device)
    if config.terrain == "grid":
        side, spacing = config.grid_side, config.grid_spacing
        return grid_offsets(config.grid_behind, config.grid_ahead, side, side, spacing, device=device)
    return None


def _groups(
    config: ObservationConfig, bodies: int, pose: int, dofs: int, keys: int, points: Tensor | None
) -> tuple[ObservationGroup, ...]:
    steps = len(config.target_steps)
    own = int(config.root_height) + 6 + 6 + pose + dofs + 3 * keys
    groups = [
        ObservationGroup(name="own_state", size=own),
        ObservationGroup(name="targets", size=steps * (3 + 6 + pose + 3 * keys)),
    ]
    if config.target_contacts:
        groups.append(ObservationGroup(name="target_contacts", size=steps * bodies, normalize=False))
    if config.contacts:
        groups.append(ObservationGroup(name="contacts", size=bodies, normalize=False))
    if points is not None:
        size = points.shape[:-1].numel()
        groups.append(ObservationGroup(name=f"terrain_{config.terrain}", size=size, normalize=False))
    return tuple(groups)
