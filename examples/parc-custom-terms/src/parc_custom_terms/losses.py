"""A loss of the generator."""

from __future__ import annotations

from torch import Tensor

from parc_core.interfaces import LossInput

__all__ = ["standing_feet"]


def standing_feet(batch: LossInput, *, margin: float = 0.01) -> Tensor:
    """Distance that hands and feet which stand move from frame to frame beyond a margin, m, mean over the batch.

    Args:
        margin: Movement per frame in meters that costs nothing.
    """
    bodies = list(batch.skeleton.key_bodies)
    moved = batch.predicted.body_pos[:, :, bodies].diff(dim=1).norm(dim=-1)
    labels = batch.truth.contacts[:, :, bodies]
    return (labels[:, 1:] * labels[:, :-1] * (moved - margin).clamp(min=0.0)).sum(dim=(1, 2)).mean()
