"""The observation vector: its groups and their order for a configuration."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

from parc_core.errors import ConfigError
from parc_core.interfaces import ObservationGroup, Reference
from parc_deepmimic.config import ObservationConfig
from parc_deepmimic.observations import ground_heights, into_heading, ray_offsets, target_vectors
from parc_deepmimic.observed_state import ObservedState
from parc_deepmimic.reference import MotionLibrary
from parc_motion.geometry import PackedTerrains, grid_offsets, height_patch
from parc_motion.kinematics import rotations as rot
from parc_motion.skeletons import Skeleton

__all__ = ["ObservationLayout"]

_CHUNK = 1024  # characters at a time on a CPU, so that intermediate results stay in the cache


class ObservationLayout:
    """Builds observations ``[N, O]`` of characters that follow references.

    Order of the published observation: own state, targets, target contacts, own contacts, ground heights; differences,
    which it does not have, and further groups come last. Heights and contacts are marked as not to be normalized.
    """

    def __init__(
        self,
        config: ObservationConfig,
        skeleton: Skeleton,
        library: MotionLibrary,
        terrains: PackedTerrains,
        control_hz: float,
        extra_groups: tuple[ObservationGroup, ...] = (),
    ) -> None:
        self._config, self._library, self._terrains = config, library, terrains
        device = library.lengths.device
        self.key_bodies = torch.tensor(skeleton.key_bodies, dtype=torch.long, device=device)
        self._ahead = torch.tensor(config.target_steps, device=device) / control_hz  # [S] s
        self._points = _points(config, device)
        built_in = _groups(config, skeleton, self._points)
        _check_names(built_in, extra_groups)
        self.groups = (*built_in, *extra_groups)
        sizes = [group.size for group in self.groups]
        self._extra = slice(sum(group.size for group in built_in), sum(sizes))
        #: columns of each group by name
        self.columns = {
            group.name: slice(end - group.size, end)
            for group, end in zip(self.groups, itertools.accumulate(sizes))
        }
        bodies, dofs = skeleton.num_bodies, skeleton.num_dofs
        pose = dofs if config.pose == "dof" else 6 * skeleton.num_joints
        self._widths = [3, 6, 3 * len(skeleton.key_bodies), pose, bodies]
        key = {"pose": config.pose, "key_bodies": list(skeleton.key_bodies)}
        self._table = library.frame_table("targets", key, self._target_rows)
        if config.differences:
            self._now_widths = [3, 4, 6, dofs, dofs]
            self._now_table = library.frame_table(
                "now", None, lambda frames: torch.cat(self._now_parts(frames), dim=1)
            )

    @property
    def size(self) -> int:
        """O."""
        return sum(group.size for group in self.groups)

    def __call__(self, state: ObservedState, on_frames: bool) -> Tensor:
        """Observations ``[N, O]``; `on_frames`: see `MotionLibrary.query`."""
        count, device = len(state.root_pos), state.root_pos.device
        obs = torch.empty(count, self.size, device=device)
        if device.type != "cpu" or count <= _CHUNK:
            self._write(obs, state, on_frames)
            return obs
        for first in range(0, count, _CHUNK):
            rows = slice(first, first + _CHUNK)
            self._write(obs[rows], state.rows(rows), on_frames)
        return obs

    def _write(self, obs: Tensor, state: ObservedState, on_frames: bool) -> None:
        config, places = self._config, self.columns
        yaw = rot.heading(state.root_rot)
        axes, pose = self._axes_and_pose(state)
        vectors = self._own_vectors(state, axes) if config.own_state else []
        own_count = sum(part.shape[1] for part in vectors)
        if config.targets or config.target_contacts:
            features = self._coming(state, on_frames)
            if config.targets:
                vectors.append(self._target_vectors(state, features))
            if config.target_contacts:
                obs[:, places["target_contacts"]] = features[-1].flatten(1)
        if vectors:
            local = into_heading(torch.cat(vectors, dim=1), torch.cos(yaw), torch.sin(yaw))
            if config.own_state:
                self._write_own_state(obs[:, places["own_state"]], state, pose, local[:, :own_count])
            if config.targets:
                steps = local[:, own_count:].unflatten(1, (len(self._ahead), -1)).flatten(2)
                self._write_targets(obs[:, places["targets"]], steps, features[3], pose)
        if config.contacts:
            obs[:, places["contacts"]] = state.contacts.to(obs.dtype)
        if self._points is not None:
            self._write_heights(obs, state, yaw, self._points)
        if config.differences:
            self._write_differences(obs[:, places["differences"]], state, pose, yaw, on_frames)
        if state.extra.shape[1]:
            obs[:, self._extra] = state.extra

    def _axes_and_pose(self, state: ObservedState) -> tuple[Tensor, Tensor]:
        """The root rotation as two axes ``[N, 2, 3]`` and the pose ``[N, P]``."""
        if self._config.pose == "rot6d":  # root and joints at once
            every = torch.cat([state.root_rot[:, None], state.joint_rot], dim=1)
            features = rot.quat_to_rot6d(every)
            return features[:, 0].unflatten(-1, (2, 3)), features[:, 1:].flatten(1)
        return rot.quat_to_rot6d(state.root_rot).unflatten(-1, (2, 3)), self._pose(state.joint_rot)

    def _own_vectors(self, state: ObservedState, axes: Tensor) -> list[Tensor]:
        moving = torch.stack([state.root_vel, state.root_ang_vel], dim=1)
        return [axes, moving, state.key_pos - state.root_pos[:, None]]

    def _target_vectors(self, state: ObservedState, features: tuple[Tensor, ...]) -> Tensor:
        keys = features[2].unflatten(-1, (-1, 3))
        return target_vectors(state.root_pos, features[0], features[1], keys).flatten(1, 2)

    def _write_own_state(self, out: Tensor, state: ObservedState, pose: Tensor, local: Tensor) -> None:
        # published order: (height,) axes, velocities, pose, joint velocities, key bodies
        parts = [local[:, :4].flatten(1), pose, state.dof_vel, local[:, 4:].flatten(1)]
        if self._config.root_height:
            ground = self._terrains.height_at(state.terrain_ids, state.root_pos[:, :2])
            parts.insert(0, (state.root_pos[:, 2] - ground)[:, None])
        out.copy_(torch.cat(parts, dim=1))

    def _write_targets(self, out: Tensor, local: Tensor, ref_pose: Tensor, pose: Tensor) -> None:
        # published order of a target: root position, root axes, pose, key bodies
        target = out.unflatten(1, (len(self._ahead), -1))
        target[..., :9] = local[..., :9]
        end = 9 + ref_pose.shape[-1]
        target[..., 9:end] = ref_pose - pose[:, None] if self._config.target_difference else ref_pose
        target[..., end:] = local[..., 9:]

    def _write_heights(self, obs: Tensor, state: ObservedState, yaw: Tensor, points: Tensor) -> None:
        root = state.root_pos
        height = height_patch(self._terrains, state.terrain_ids, root[:, :2], yaw, points)
        out = obs[:, self.columns[f"terrain_{self._config.terrain}"]]
        out.copy_(ground_heights(height, root[:, 2], self._config.height_clip))

    def _write_differences(
        self, out: Tensor, state: ObservedState, pose: Tensor, yaw: Tensor, on_frames: bool
    ) -> None:
        place, turned, moving, ref_pose, ref_dof_vel = self._now(state, on_frames)
        turn = rot.quat_to_expmap(rot.multiply(turned, rot.inverse(state.root_rot)))
        own_moving = torch.cat([state.root_vel, state.root_ang_vel], dim=1)
        away = torch.cat([place - state.root_pos, turn, moving - own_moving], dim=1).unflatten(1, (4, 3))
        local = into_heading(away, torch.cos(yaw), torch.sin(yaw)).flatten(1)
        if self._config.pose != "dof":
            pose = self._library.kinematics.joint_rot_to_dof(state.joint_rot)
        torch.cat([local, ref_pose - pose, ref_dof_vel - state.dof_vel], dim=1, out=out)

    def _now(self, state: ObservedState, on_frames: bool) -> tuple[Tensor, ...]:
        """Root position, root rotation, root velocities ``[N, 6]``, scalar coordinates and their velocities, now."""
        library, ids, times = self._library, state.motion_ids, state.motion_times
        if not on_frames:
            return self._now_parts(library.query(ids, times))
        rows, loops = library.rows(ids, times)
        place, *others = self._now_table.index_select(0, rows).split(self._now_widths, dim=1)
        return (place if loops is None else place + library.travel[ids] * loops[:, None], *others)

    def _now_parts(self, ref: Reference) -> tuple[Tensor, ...]:
        moving = torch.cat([ref.root_vel, ref.root_ang_vel], dim=1)
        pose = self._library.kinematics.joint_rot_to_dof(ref.joint_rot)
        return ref.root_pos, ref.root_rot, moving, pose, ref.dof_vel

    def _coming(self, state: ObservedState, on_frames: bool) -> tuple[Tensor, ...]:
        """Root position, root axes, key offsets, pose and contacts at the target steps, ``[N, S, ...]`` each."""
        steps, ids = len(self._ahead), state.motion_ids
        at = state.motion_times[:, None] + self._ahead
        if on_frames:
            rows, loops = self._library.rows(ids, at)
            features = self._table.index_select(0, rows.flatten()).unflatten(0, rows.shape)
            if loops is not None:
                features[..., :3] += self._library.travel[ids][:, None] * loops[..., None]
        else:
            ref = self._library.query(ids.repeat_interleave(steps), at.flatten())
            features = self._target_rows(ref).unflatten(0, (-1, steps))
        return features.split(self._widths, dim=-1)

    def _target_rows(self, ref: Reference) -> Tensor:
        keys = ref.body_pos[:, self.key_bodies] - ref.root_pos[:, None]
        axes = rot.quat_to_rot6d(ref.root_rot)
        return torch.cat(
            [ref.root_pos, axes, keys.flatten(1), self._pose(ref.joint_rot), ref.contacts], dim=1
        )

    def _pose(self, joint_rot: Tensor) -> Tensor:
        if self._config.pose == "rot6d":
            return rot.quat_to_rot6d(joint_rot).flatten(1)
        return self._library.kinematics.joint_rot_to_dof(joint_rot)


def _check_names(built_in: tuple[ObservationGroup, ...], extra: tuple[ObservationGroup, ...]) -> None:
    taken = {group.name for group in built_in}
    for group in extra:
        if group.name in taken:
            raise ConfigError(
                f"observation.terms.{group.name}: a built-in group has this name ({', '.join(sorted(taken))}). "
                "Give the term another one."
            )


def _points(config: ObservationConfig, device: torch.device) -> Tensor | None:
    if config.terrain == "rays":
        return ray_offsets(config.num_rays, config.ray_start, config.ray_end, config.ray_spacing, device)
    if config.terrain == "grid":
        side, spacing = config.grid_side, config.grid_spacing
        return grid_offsets(config.grid_behind, config.grid_ahead, side, side, spacing, device=device)
    return None


def _groups(
    config: ObservationConfig, skeleton: Skeleton, points: Tensor | None
) -> tuple[ObservationGroup, ...]:
    steps, bodies, keys = len(config.target_steps), skeleton.num_bodies, 3 * len(skeleton.key_bodies)
    pose = 6 * skeleton.num_joints if config.pose == "rot6d" else skeleton.num_dofs
    form = "joints as two axes each" if config.pose == "rot6d" else "joints as scalar coordinates"
    groups = []
    if config.own_state:
        height = "height above the ground, " if config.root_height else ""
        text = f"{height}root axes, root velocities, {form}, joint velocities, hands and feet"
        size = int(config.root_height) + 6 + 6 + pose + skeleton.num_dofs + keys
        groups.append(ObservationGroup(name="own_state", size=size, description=text))
    if config.targets:
        ahead = ", ".join(f"+{step}" for step in config.target_steps)
        text = f"reference at {ahead} control steps: root position, root axes, {form}, hands and feet"
        groups.append(ObservationGroup(name="targets", size=steps * (3 + 6 + pose + keys), description=text))
    if config.target_contacts:
        text = "contact labels of the reference at those steps, 0..1"
        groups.append(
            ObservationGroup(name="target_contacts", size=steps * bodies, normalize=False, description=text)
        )
    if config.contacts:
        text = "which bodies touch the ground, 0 or 1"
        groups.append(ObservationGroup(name="contacts", size=bodies, normalize=False, description=text))
    if points is not None:
        text = f"ground heights relative to the root along {config.terrain}, m"
        shape, name = points.shape[:-1], f"terrain_{config.terrain}"  # rays x points, or along x and y
        groups.append(
            ObservationGroup(
                name=name, size=shape.numel(), normalize=False, description=text, shape=tuple(shape)
            )
        )
    if config.differences:
        text = "reference minus state now: root position, rotation, velocities, joints, joint velocities"
        groups.append(ObservationGroup(name="differences", size=12 + 2 * skeleton.num_dofs, description=text))
    return tuple(groups)
