"""Training windows: 15 frames of a clip, the ground around them and where they go, drawn a batch at a time."""

from __future__ import annotations

import attrs
import torch
from torch import Tensor

from parc_mdm.compiled.gather import Parts, gather
from parc_mdm.compiled.jit import array, parallel_for
from parc_mdm.config import MdmConfig
from parc_mdm.draws import Source, choose, num_rows, rand
from parc_mdm.features import REFERENCE, Anchor, FeatureLayout
from parc_mdm.ground import draw_ground
from parc_mdm.store import MotionStore
from parc_mdm.targets import draw_targets

__all__ = [
    "Windows",
    "anchor_of",
    "compiled_windows",
    "draw_windows",
    "gather_windows",
    "plain_windows",
    "start_height",
    "window_stats",
]

_STATS_CHUNK = 4096


@attrs.frozen(kw_only=True, eq=False)
class Windows:
    """A batch of windows, each in the frame of its anchor; the targets of the losses."""

    features: Tensor  # [N, S, D], not standardized
    root_rot: Tensor  # [N, S, 4]
    joint_rot: Tensor  # [N, S, J, 4]
    body_pos: Tensor  # [N, S, B, 3] m
    body_rot: Tensor  # [N, S, B, 4]
    patch: Tensor  # [N, 31, 31] m, heights over the reference root
    target: Tensor  # [N, 2]


def draw_windows(
    store: MotionStore, layout: FeatureLayout, config: MdmConfig, window: int, generator: Source
) -> Windows:
    """`config.batch_size` windows, or some of them: clips by weight, starts uniform over the clip, ground augmented."""
    rows = num_rows(generator, config.batch_size)
    clip_ids = choose(store.weights, rows, source=generator)
    share = rand(rows, source=generator, device=clip_ids.device)
    count = store.num_starts[clip_ids]
    start = torch.minimum((share * count).long(), count - 1)
    frames = (store.first[clip_ids] + start)[:, None] + torch.arange(window, device=clip_ids.device)
    anchor = anchor_of(store, layout, frames)
    patch = draw_ground(store, clip_ids, frames, anchor, config, generator)
    target = draw_targets(store, clip_ids, start, anchor, config, generator)
    return gather_windows(store, layout, frames, anchor, patch, target)


def anchor_of(store: MotionStore, layout: FeatureLayout, frames: Tensor) -> Anchor:
    """The anchors of windows with given frames ``[N, S]``."""
    reference = frames[:, REFERENCE].contiguous()
    anchor = Anchor.of(store.root_pos[reference], store.root_rot[reference])
    if not layout.from_floor:
        return anchor
    clip_ids = torch.searchsorted(store.first, reference, right=True) - 1
    return anchor.on_floor(store.terrains.height_at(clip_ids, anchor.origin[:, :2]))


def gather_windows(
    store: MotionStore, layout: FeatureLayout, frames: Tensor, anchor: Anchor, patch: Tensor, target: Tensor
) -> Windows:
    """The windows of given frames ``[N, S]`` with their conditions."""
    is_usual = layout.rotation == "default" and not layout.velocities
    make = compiled_windows if is_usual and frames.device.type == "cpu" else plain_windows
    return make(store, layout, frames, anchor, patch, target)


def compiled_windows(
    store: MotionStore, layout: FeatureLayout, frames: Tensor, anchor: Anchor, patch: Tensor, target: Tensor
) -> Windows:
    """What `gather_windows` does for default rotations and no velocities, by a compiled kernel."""
    shape, bodies, joints = frames.shape, store.body_pos.shape[1], store.joint_rot.shape[1]
    features, joint_rot = torch.empty(*shape, layout.width), torch.empty(*shape, joints, 4)
    body_pos, body_rot = torch.empty(*shape, bodies, 3), torch.empty(*shape, bodies, 4)
    parts = Parts(array(features), array(joint_rot), array(body_pos), array(body_rot))
    given = [array(t.contiguous()) for t in (frames, anchor.origin, anchor.heading)]
    parallel_for(gather, len(frames), store.clip_arrays, *given, parts)
    return Windows(
        features=features,
        root_rot=body_rot[..., 0, :],
        joint_rot=joint_rot,
        body_pos=body_pos,
        body_rot=body_rot,
        patch=patch,
        target=target,
    )


def plain_windows(
    store: MotionStore, layout: FeatureLayout, frames: Tensor, anchor: Anchor, patch: Tensor, target: Tensor
) -> Windows:
    """What `gather_windows` does for any layout on any device."""
    flat, shape = frames.flatten(), (*frames.shape, store.body_pos.shape[1])
    turn_pos, turn_rot = _turns_to_local(anchor.heading)
    from_origin = store.body_pos.index_select(0, flat).view(len(frames), -1, 3) - anchor.origin[:, None]
    body_pos = (from_origin @ turn_pos).view(*shape, 3)
    body_rot = (store.body_rot.index_select(0, flat).view(len(frames), -1, 4) @ turn_rot).view(*shape, 4)
    root_rot = body_rot[..., 0, :]
    joint_rot = store.joint_rot[frames]
    joints = layout.joint_numbers(store.dof[frames], joint_rot)
    features = layout.pack(
        body_pos[..., 0, :], layout.root_numbers(root_rot), body_pos, joints, store.contacts[frames]
    )
    return Windows(
        features=features,
        root_rot=root_rot,
        joint_rot=joint_rot,
        body_pos=body_pos,
        body_rot=body_rot,
        patch=patch,
        target=target,
    )


def _turns_to_local(heading: Tensor) -> tuple[Tensor, Tensor]:
    """Matrices that turn positions and quaternions (rows) about z by minus the heading: ``[N, 3, 3]``, ``[N, 4, 4]``.

    A matrix product is one pass; the same by quaternions is about ten, because it knows of no axis.
    """
    zero, one = torch.zeros_like(heading), torch.ones_like(heading)
    cos, sin = torch.cos(heading), torch.sin(heading)
    pos = torch.stack([cos, -sin, zero, sin, cos, zero, zero, zero, one], dim=-1).unflatten(-1, (3, 3))
    w, z = torch.cos(0.5 * heading), torch.sin(0.5 * heading)
    rows = [w, -z, zero, zero, z, w, zero, zero, zero, zero, w, z, zero, zero, -z, w]
    return pos, torch.stack(rows, dim=-1).unflatten(-1, (4, 4))


def window_stats(
    store: MotionStore, layout: FeatureLayout, window: int, floor: float
) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each feature at each place in a window, over all windows: ``[S, D]`` each.

    Contacts keep mean 0 and deviation 1. Deviations below `floor` become `floor`: a joint that hardly moves in these
    clips may move in the next ones.
    """
    starts = [
        torch.arange(int(n), device=store.first.device) + f for f, n in zip(store.first, store.num_starts)
    ]
    total = torch.zeros(2, window, layout.width, dtype=torch.float64, device=store.first.device)
    all_starts = torch.cat(starts)
    shift: Tensor | None = None
    for chunk in all_starts.split(_STATS_CHUNK):
        frames = chunk[:, None] + torch.arange(window, device=chunk.device)
        anchor = anchor_of(store, layout, frames)
        features = gather_windows(store, layout, frames, anchor, frames, frames).features.double()
        shift = features.mean(dim=0) if shift is None else shift  # keeps the sum of squares well conditioned
        total += torch.stack([(features - shift).sum(dim=0), (features - shift).square().sum(dim=0)])
    assert shift is not None
    mean, square = total / len(all_starts)
    std = (square - mean.square()).clamp_min(0.0).sqrt().clamp_min(floor)
    mean = mean + shift
    mean[:, layout.contacts], std[:, layout.contacts] = 0.0, 1.0
    return mean.float(), std.float()


def start_height(store: MotionStore) -> Tensor:
    """Range of the root's height over the ground under it in its middle frames, quartile to quartile: ``[2]`` m."""
    clip_ids = torch.arange(store.num_clips, device=store.first.device).repeat_interleave(store.num_frames)
    over = store.root_pos[:, 2] - store.terrains.height_at(clip_ids, store.root_pos[:, :2])
    return torch.quantile(over, torch.tensor([0.25, 0.75], device=over.device))
