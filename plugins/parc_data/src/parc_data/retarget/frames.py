"""Rotation matrices of body frames (columns ahead, left, up) and small vector functions, any leading axes."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

__all__ = ["blend", "frame_of", "from_pair", "smooth", "swing", "transform", "unit"]

_TINY = 1e-9


def unit(v: np.ndarray) -> np.ndarray:
    """The vectors at length 1 (zero stays zero), ``[..., 3]``."""
    return v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), _TINY)


def frame_of(up: np.ndarray, left: np.ndarray) -> np.ndarray:
    """Frame whose left axis is `left` and whose up axis is nearest to `up`: ``[..., 3, 3]``."""
    y, z, x = np.moveaxis(from_pair(left, up), -1, 0)
    return np.stack([x, y, z], axis=-1)


def from_pair(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Frame of a direction and a second one made orthogonal to it: columns first, second, their product.

    Where the two are parallel (or zero) some frame with that first direction answers.
    """
    a = unit(first)
    a = np.where((a * a).sum(axis=-1, keepdims=True) < 0.5, np.array([1.0, 0.0, 0.0]), a)
    b = _across(a, second)
    spare = np.eye(3)[np.abs(a).argmin(axis=-1)]
    b = np.where((b * b).sum(axis=-1, keepdims=True) < 1e-12, _across(a, spare), b)
    b = unit(b)
    return np.stack([a, b, np.cross(a, b)], axis=-1)


def _across(a: np.ndarray, v: np.ndarray) -> np.ndarray:
    return v - (v * a).sum(axis=-1, keepdims=True) * a


def swing(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The smallest rotation that turns direction a into direction b, ``[..., 3, 3]``."""
    a, b = np.broadcast_arrays(unit(a), unit(b))
    cosine = (a * b).sum(axis=-1)[..., None, None]
    v = np.cross(a, b)
    k = np.zeros((*v.shape, 3))
    k[..., 0, 1], k[..., 0, 2], k[..., 1, 2] = -v[..., 2], v[..., 1], -v[..., 0]
    k -= np.swapaxes(k, -1, -2)
    turn = np.eye(3) + k + k @ k / np.maximum(1.0 + cosine, 1e-6)
    about = from_pair(a, v)[..., 1]  # opposite directions: half a turn about an axis across
    half = 2.0 * about[..., :, None] * about[..., None, :] - np.eye(3)
    return np.where(cosine < -1.0 + 1e-9, half, turn)


def transform(frame: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Vectors given in frames, in the world: ``[..., 3]`` for frames ``[..., 3, 3]``."""
    return (frame @ np.broadcast_to(v, frame.shape[:-1])[..., None])[..., 0]


def blend(a: np.ndarray, b: np.ndarray, share: float) -> np.ndarray:
    """The frame at `share` of the way from frames a to frames b, ``[T, 3, 3]``."""
    delta = Rotation.from_matrix(np.swapaxes(a, -1, -2) @ b).as_rotvec()
    return a @ Rotation.from_rotvec(share * delta).as_matrix()


def smooth(values: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian mean over axis 0, `sigma` in frames; ends repeat."""
    return gaussian_filter1d(values, sigma, axis=0, mode="nearest") if sigma > 0 else values
