"""Low-pass filter of poses over time."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.linalg import solveh_banded
from torch import Tensor

from parc_motion.kinematics import rotations as rot

__all__ = ["continuous", "low_pass", "low_pass_rot"]


def low_pass(values: Tensor, fps: float, cutoff: float) -> Tensor:
    """The sequence without what moves faster than `cutoff`, without delay: ``[T, ...]``.

    The minimizer of sum |x - values|^2 + w sum |third difference of x|^2 (a Whittaker smoother), with w such that a
    sine of `cutoff` Hz keeps half its size; one of half the frequency keeps 98 %. Parabolas pass unchanged, so a
    ballistic flight is not flattened.
    """
    frames = values.shape[0]
    if frames < 5 or cutoff >= 0.5 * fps:
        return values
    weight = (2.0 * math.sin(math.pi * cutoff / fps)) ** -6
    difference = np.diff(np.eye(frames), n=3, axis=0)
    matrix = np.eye(frames) + weight * difference.T @ difference
    bands = np.zeros((4, frames))
    for k in range(4):
        bands[k, : frames - k] = np.diagonal(matrix, -k)
    flat = values.detach().double().cpu().numpy().reshape(frames, -1)
    smooth = solveh_banded(bands, flat, lower=True)
    return torch.as_tensor(smooth, device=values.device).to(values.dtype).reshape(values.shape)


def continuous(q: Tensor) -> Tensor:
    """The same rotations with signs such that neighbors in time lie close: ``[T, ..., 4]``."""
    dots = (q[1:] * q[:-1]).sum(-1, keepdim=True)
    flips = torch.where(dots < 0, -torch.ones_like(dots), torch.ones_like(dots)).cumprod(dim=0)
    return torch.cat([q[:1], q[1:] * flips], dim=0)


def low_pass_rot(q: Tensor, fps: float, cutoff: float) -> Tensor:
    """`low_pass` of rotations, ``[T, ..., 4]``; they must turn by far less than pi within the filter's window."""
    return rot.normalize(low_pass(continuous(q), fps, cutoff))
