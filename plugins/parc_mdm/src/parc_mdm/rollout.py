"""Motions along a path: windows generated one after the other, each continuing the last; all candidates at once.

Source: `parc_motion.published` (first window without history, 2 frames of history, rewind, arrival when the
feet are near the path's end). Unlike there, every candidate ends where it is nearest to the goal after arriving, also
the last one of a batch, and draws its own starting height.
"""

from __future__ import annotations

import math

import attrs
import torch
from torch import Generator, Tensor

from parc_mdm.features import FPS, NUM_HISTORY, REFERENCE, Anchor, Frames, decode, encode
from parc_mdm.ground import patch_offsets
from parc_mdm.model import MotionModel
from parc_mdm.path_guide import PathGuide
from parc_mdm.path_guides import PathGuides
from parc_mdm.sampler import join, sample_windows
from parc_mdm.targets import target_direction
from parc_motion.geometry import PackedTerrains, height_patch

__all__ = ["Rollout", "roll_out"]


@attrs.frozen(kw_only=True, eq=False)
class Rollout:
    """Generated motions; candidate i is ``frames[i, : length[i]]``."""

    frames: Frames  # [N, T, ...]
    length: Tensor  # [N] int64
    reached: Tensor  # [N] bool


@torch.no_grad()
def roll_out(
    model: MotionModel,
    ground: PackedTerrains,
    guide: PathGuide | PathGuides,
    count: int,
    generator: Generator,
) -> Rollout:
    """`count` motions from the start of the path towards its end.

    Args:
        ground: the terrain, or those of a `PathGuides`.
    """
    config, size = model.config, model.denoiser.num_frames
    kept = size - 1 - config.rewind_num_frames  # frames of a window that stay when the next one follows
    walk = _Walk(model, ground, guide, count)
    local, anchor = walk.first_window(generator)
    frames = anchor.frames_to_world(decode(model.kin, model.layout, local))
    parts = [frames[:, :kept]]
    walk.look_for_goal(frames[:, :kept], 0)
    total, most = kept, max(kept, math.ceil(config.max_motion_length * FPS))
    while total < most and walk.on_the_way.any():
        history = frames[:, kept - NUM_HISTORY : kept]
        frames = walk.next_window(history, generator)
        parts.append(frames[:, NUM_HISTORY:kept])
        walk.look_for_goal(parts[-1], total)
        total += kept - NUM_HISTORY
    length = torch.where(walk.reached, walk.length, min(total, most))
    return Rollout(frames=Frames.cat(parts, dim=1), length=length, reached=walk.reached)


class _Walk:
    """Where the candidates of one rollout are."""

    def __init__(
        self, model: MotionModel, ground: PackedTerrains, guide: PathGuide | PathGuides, count: int
    ) -> None:
        self.model, self.ground, self.guide = model, ground, guide
        device = model.device
        self.count = count
        self.ids = guide.terrain_ids(count)
        self.offsets = patch_offsets(device)
        self.progress = torch.zeros(count, device=device)
        self.reached = torch.zeros(count, dtype=torch.bool, device=device)
        self.closing = torch.zeros(count, dtype=torch.bool, device=device)  # arrived, and still coming nearer
        self.length = torch.zeros(count, dtype=torch.long, device=device)
        self.nearest = torch.full((count,), torch.inf, device=device)
        skeleton = model.kin.skeleton
        self.feet = list(skeleton.need_feet())

    def first_window(self, generator: Generator) -> tuple[Tensor, Anchor]:
        """Windows at the start of the path, heading along it, and their anchors."""
        config, device = self.model.config, self.model.device
        low, high = config.start_height or self.model.start_height.tolist()
        start = self.guide.points[0].expand(self.count, 3).clone()
        start[:, 2] += low + (high - low) * torch.rand(self.count, generator=generator, device=device)
        towards = self._towards(is_first=True) - start[:, :2]
        heading = torch.atan2(towards[:, 1], towards[:, 0])
        if config.first_heading_mode == "random":
            heading = 2.0 * math.pi * torch.rand(self.count, generator=generator, device=device)
        anchor = self._placed(Anchor(origin=start, heading=heading))
        return self._sample(anchor, None, generator), anchor

    def next_window(self, history: Frames, generator: Generator) -> Frames:
        """Windows that continue the motions' last two frames ``[N, 2, ...]``, in the world."""
        model = self.model
        anchor = self._placed(Anchor.of(history.root_pos[:, REFERENCE], history.root_rot[:, REFERENCE]))
        self.progress = self.guide.advance(self.progress, anchor.origin[:, :2], model.config.search_window)
        given = encode(model.kin, model.layout, anchor.frames_to_local(history))
        local = join(model.layout, self._sample(anchor, given, generator), given, model.config.seam_frames)
        return anchor.frames_to_world(decode(model.kin, model.layout, local))

    def look_for_goal(self, frames: Frames, before: int) -> None:
        """Note which candidates arrive within new frames ``[N, k, ...]``, of which `before` came earlier.

        A candidate that has come near enough goes on while it comes nearer, and ends at its nearest frame.
        """
        body_pos, _ = self.model.kin.forward(frames.root_pos, frames.root_rot, frames.joint_rot)
        distance = (body_pos[..., self.feet, :].mean(dim=-2) - self.guide.goal).norm(dim=-1)  # [N, k]
        near = distance < self.model.config.goal_radius
        fresh = near.any(dim=1) & ~self.reached
        open_to = fresh | self.closing
        # before the first near frame nothing counts
        counted = torch.where(near.cumsum(1).bool() | self.closing[:, None], distance, torch.inf)
        best, place = counted.min(dim=1)
        better = open_to & (best < self.nearest)
        self.length = torch.where(better, before + place + 1, self.length)
        self.nearest = torch.where(better, best, self.nearest)
        self.reached |= fresh
        self.closing = better & (place == distance.shape[1] - 1)

    @property
    def on_the_way(self) -> Tensor:
        """Candidates that still move, ``[N]`` bool."""
        return ~self.reached | self.closing

    def _placed(self, anchor: Anchor) -> Anchor:
        if not self.model.layout.from_floor:
            return anchor
        return anchor.on_floor(self.ground.height_at(self.ids, anchor.origin[:, :2]))

    def _sample(self, anchor: Anchor, history: Tensor | None, generator: Generator) -> Tensor:
        model = self.model
        xy, root_z = anchor.origin[:, :2], anchor.origin[:, 2, None, None]
        # drawn for all, so that no motion's noise depends on which others have arrived
        shape = (self.count, model.denoiser.num_frames, model.layout.width)
        noise = torch.randn(shape, generator=generator, device=model.device)
        patch = height_patch(self.ground, self.ids, xy, anchor.heading, self.offsets) - root_z
        aim = torch.cat([self._towards(is_first=history is None), anchor.origin[:, 2:]], dim=-1)
        offset = anchor.to_local(aim)[:, :2]
        target = target_direction(offset, torch.zeros_like(anchor.heading))
        if history is None:
            return sample_windows(model, noise, patch, target, None, generator, offset)
        on = self.on_the_way.nonzero().squeeze(-1)
        window = history[:, -1:].repeat(1, model.denoiser.num_frames, 1)  # who has arrived stays where he is
        window[on] = sample_windows(
            model, noise[on], patch[on], target[on], history[on], generator, offset[on]
        )
        return window

    def _towards(self, *, is_first: bool) -> Tensor:
        """Point of the path to head for, ``[N, 2]`` m; from the start, the next point unless a distance is set."""
        config = self.model.config
        nodes = 1 if is_first and config.lookahead_distance is None else config.next_node_lookahead
        return self.guide.target(self.progress, nodes, config.lookahead_distance)
