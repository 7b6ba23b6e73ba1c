"""Forward kinematics of positions for a few poses at a time, in few operations.

Only a few environments restart in a control step, and then the number of operations determines the time. With rotation
matrices there are a tenth as many of them as in `parc_deepmimic.planar`, which is made for thousands of poses.
"""

from __future__ import annotations

import torch
from torch import Tensor

from parc_deepmimic.planar import levels
from parc_motion.skeletons import Skeleton

__all__ = ["BodyPositions"]

# the nine numbers of a rotation matrix as sums of products of two components of the quaternion (xyzw): + and -
_PRODUCTS = (
    (("xx", "ww"), ("yy", "zz")), (("xy", "xy"), ("zw", "zw")), (("xz", "xz", "yw", "yw"), ()),
    (("xy", "xy", "zw", "zw"), ()), (("yy", "ww"), ("xx", "zz")), (("yz", "yz"), ("xw", "xw")),
    (("xz", "xz"), ("yw", "yw")), (("yz", "yz", "xw", "xw"), ()), (("zz", "ww"), ("xx", "yy")),
)  # fmt: skip


class BodyPositions:
    """Forward kinematics of positions alone."""

    def __init__(self, skeleton: Skeleton, device: str | torch.device = "cpu") -> None:
        parents = torch.tensor(skeleton.parents, device=device)
        by_depth = [torch.tensor(bodies, device=device) for bodies in levels(skeleton)]
        self._levels = [(bodies, parents[bodies]) for bodies in by_depth]
        self._parents = parents[1:]
        self._offsets = torch.tensor(skeleton.offsets[1:], device=device, dtype=torch.float32)[..., None]
        self._to_matrix = _matrix_table().to(device)  # [16, 9]
        self._above = _chains(skeleton).to(device)  # [B, J]

    def __call__(self, root_pos: Tensor, rotation: Tensor) -> Tensor:
        """Position of every body, ``[N, B, 3]`` m.

        Args:
            root_pos: ``[N, 3]`` m.
            rotation: of the root, then of the joints, ``[N, 1 + J, 4]``.
        """
        products = rotation[..., :, None] * rotation[..., None, :]
        turn = (products.flatten(-2) @ self._to_matrix).unflatten(-1, (3, 3))
        for bodies, parents in self._levels:
            turn[:, bodies] = turn.index_select(1, parents) @ turn.index_select(1, bodies)
        arms = (turn.index_select(1, self._parents) @ self._offsets)[..., 0]
        return root_pos[:, None] + self._above @ arms


def _matrix_table() -> Tensor:
    table = torch.zeros(16, 9)
    for column, signs in enumerate(_PRODUCTS):
        for sign, pairs in zip((1.0, -1.0), signs):
            for a, b in (tuple(pair) for pair in pairs):
                table[4 * "xyzw".index(a) + "xyzw".index(b), column] += sign
    return table


def _chains(skeleton: Skeleton) -> Tensor:
    """``[B, J]``: 1 where a joint lies between the root and a body."""
    chains = torch.zeros(skeleton.num_bodies, skeleton.num_bodies)
    for body, parent in enumerate(skeleton.parents):
        if parent >= 0:
            chains[body] = chains[parent]
            chains[body, body] = 1.0
    return chains[:, 1:]
