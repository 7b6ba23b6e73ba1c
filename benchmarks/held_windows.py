"""Windows of one clip that its training never starts at, and how well a generator reproduces them.

A held window gives its true history (2 frames), ground and direction. The generator goes on from there as it does along
a path: its own frames become the history of the next window, with the ground and the direction where they led it.
"""

from __future__ import annotations

import attrs
import numpy as np
import torch
from torch import Tensor

from parc_mdm.features import FPS, NUM_HISTORY, REFERENCE, Anchor, Frames, decode, encode
from parc_mdm.ground import patch_offsets
from parc_mdm.model import MotionModel
from parc_mdm.sampler import join, sample_windows
from parc_mdm.store import MotionStore
from parc_mdm.targets import target_direction
from parc_motion.geometry import PackedTerrains, height_patch
from parc_motion.kinematics import rotations as rot

__all__ = ["AFTER", "beginning_at", "hold_out", "reproduction_errors"]

AFTER = round(0.5 * FPS)  # frames after the history's end that are compared


def hold_out(store: MotionStore, every: int, gap: int) -> tuple[np.ndarray, np.ndarray]:
    """First frames of held windows of a store's first clip, and of those to train on.

    Args:
        every: every n-th start is held out.
        gap: starts within this distance of a held-out one are not trained on either.
    """
    starts = np.arange(int(store.num_starts[0]))
    held = starts[every // 2 :: every]
    held = held[
        held < int(store.num_frames[0]) - AFTER - REFERENCE
    ]  # what comes after the clip cannot be compared
    return held, starts[np.abs(starts[:, None] - held).min(axis=1) > gap]


def beginning_at(store: MotionStore, starts: np.ndarray) -> MotionStore:
    """The clips of a store with windows that begin at these frames of each only.

    Every run of frames becomes a separate clip, which shares the ground and the frames after it, so that the
    directions of its windows are those of the whole clip.
    """
    runs = np.split(starts, np.flatnonzero(np.diff(starts) > 1) + 1)
    begin, count = torch.tensor([[run[0], len(run)] for run in runs]).T
    clip = torch.arange(store.num_clips).repeat_interleave(len(runs))
    begin, count = begin.repeat(store.num_clips), count.repeat(store.num_clips)
    ground = store.terrains
    names = ("height", "shape", "origin_xy", "cell")
    return attrs.evolve(
        store,
        first=store.first[clip] + begin,
        num_frames=store.num_frames[clip] - begin,
        num_starts=count,
        weights=store.weights[clip] * count / count.sum(),
        terrains=PackedTerrains(**{name: getattr(ground, name)[clip] for name in names}),
        bounds=store.bounds[clip],
    )


@torch.no_grad()
def reproduction_errors(
    model: MotionModel, store: MotionStore, starts: np.ndarray, tries: int, seed: int
) -> dict[str, np.ndarray]:
    """Distances from the first clip, m: of the roots ``[K, tries, AFTER]``, and of the bodies in the mean, likewise.

    Args:
        starts: first frames of the windows, ``[K]``.
        tries: each with other noise, and with a direction to another time ahead.
    """
    begin = torch.tensor(starts).repeat_interleave(tries)
    share = ((torch.arange(tries) + 0.5) / tries).repeat(len(starts))
    made = _continued(model, store, begin, share, torch.Generator().manual_seed(seed))
    body_pos, _ = model.kin.forward(made.root_pos, made.root_rot, made.joint_rot)
    truth = store.body_pos[begin[:, None] + torch.arange(body_pos.shape[1])]
    away = (body_pos - truth).norm(dim=-1)[:, NUM_HISTORY:]  # [K * tries, AFTER, B]
    away = away.unflatten(0, (len(starts), tries))
    return {"root": away[..., 0].numpy(), "body": away.mean(dim=-1).numpy()}


def _continued(
    model: MotionModel, store: MotionStore, begin: Tensor, share: Tensor, generator: torch.Generator
) -> Frames:
    """True history and AFTER generated frames ``[N, ...]`` in the world."""
    size = model.denoiser.num_frames
    kept = size if size >= NUM_HISTORY + AFTER else size - 1 - model.config.rewind_num_frames
    frames = _true_frames(store, begin[:, None] + torch.arange(NUM_HISTORY))
    while frames.root_pos.shape[1] < NUM_HISTORY + AFTER:
        done = frames.root_pos.shape[1] - NUM_HISTORY
        window = _next_window(model, store, frames[:, done:], begin + done, share, generator)
        room = NUM_HISTORY + AFTER - done
        last = kept if room > size else room
        frames = Frames.cat([frames, window[:, NUM_HISTORY:last]], dim=1)
    return frames


def _next_window(
    model: MotionModel,
    store: MotionStore,
    history: Frames,
    begin: Tensor,
    share: Tensor,
    generator: torch.Generator,
) -> Frames:
    """Windows that continue a history ``[N, 2, ...]``, which the clip has at frames `begin`, in the world."""
    layout, ids = model.layout, torch.zeros_like(begin)
    anchor = Anchor.of(history.root_pos[:, REFERENCE], history.root_rot[:, REFERENCE])
    given = encode(model.kin, layout, anchor.frames_to_local(history))
    offsets = patch_offsets("cpu")
    ground = height_patch(store.terrains, ids, anchor.origin[:, :2], anchor.heading, offsets)
    noise = torch.randn(len(begin), model.denoiser.num_frames, layout.width, generator=generator)
    target = _direction(model, store, anchor, begin, share)
    made = sample_windows(model, noise, ground - anchor.origin[:, 2, None, None], target, given, generator)
    made = join(layout, made, given, model.config.seam_frames)
    return anchor.frames_to_world(decode(model.kin, layout, made))


def _direction(
    model: MotionModel, store: MotionStore, anchor: Anchor, begin: Tensor, share: Tensor
) -> Tensor:
    """Directions to where the clip's root is some time ahead, as in training but without noise: ``[N, 2]``."""
    config, last = model.config, int(store.num_frames[0]) - 1
    earliest = begin + round(config.target_min_time * FPS)
    room = ((last - earliest) / FPS).clamp(0.0, config.target_time_range)
    future = (earliest + (share * room * FPS).round().long()).clamp_max(last)
    near = (config.target_min_speed * (future - begin - REFERENCE) / FPS).clamp_min(0.1)
    turn = rot.heading(store.root_rot[future]) - anchor.heading
    return target_direction(anchor.to_local(store.root_pos[future])[:, :2], turn, near)


def _true_frames(store: MotionStore, index: Tensor) -> Frames:
    return Frames(**{field.name: getattr(store, field.name)[index] for field in attrs.fields(Frames)})
