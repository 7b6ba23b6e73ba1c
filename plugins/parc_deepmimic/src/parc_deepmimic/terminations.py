"""When a reference is lost: pure functions of tensors, ``[N]`` bool.

Source: published implementation. It spares the first step of an episode; here every step counts, because the state
that is read always belongs to the present instant.
"""

from __future__ import annotations

from torch import Tensor

__all__ = ["body_lost", "fallen", "root_lost"]


def root_lost(distance: Tensor, rotation: Tensor, max_distance: float, max_rotation: float) -> Tensor:
    """The root is further than `max_distance` m or turned by more than `max_rotation` rad."""
    return (distance > max_distance) | (rotation > max_rotation)


def body_lost(body_square: Tensor, limits: Tensor) -> Tensor:
    """Some body is further than its limit from where it should be, world axes, relative to the own root.

    Args:
        body_square: squared distances of the bodies after the root, ``[N, B - 1]`` m^2.
        limits: ``[B - 1]`` m.
    """
    return (body_square > limits.square()).any(dim=-1)


def fallen(force: Tensor, body_ids: Tensor, threshold: float) -> Tensor:
    """One of the bodies ``[K]`` touches something: its force ``[N, B]`` N exceeds the threshold."""
    return (force[:, body_ids] > threshold).any(dim=-1)
