"""The last control steps of every copy, for the moment when one diverges."""

from __future__ import annotations

import numpy as np

__all__ = ["History"]

_STEPS = 50
_BYTES = 64 << 20  # of all copies; with more than some thousand of them fewer steps are kept


class History:
    """A ring of the states that steps began with and the targets that they were given."""

    def __init__(self, fields: dict[str, np.ndarray], targets: np.ndarray) -> None:
        """An empty ring.

        Args:
            fields: the present states by name, ``[N, ...]``, which `begin` copies.
            targets: the present targets ``[N, D]``, likewise.
        """
        self._sources = {**fields, "targets": targets}
        step = sum(source.nbytes for source in self._sources.values())
        size = max(1, min(_STEPS, _BYTES // step))
        self._rows = {name: np.zeros((size, *one.shape), one.dtype) for name, one in self._sources.items()}
        self._took_part = np.zeros((size, len(targets)), dtype=bool)
        self._slot = size - 1  # of the present step

    def begin(self, moving: np.ndarray) -> None:
        """A step begins, in which the copies ``[N]`` move."""
        self._slot = (self._slot + 1) % len(self._took_part)
        for name, rows in self._rows.items():
            np.copyto(rows[self._slot], self._sources[name])
        self._took_part[self._slot] = moving

    def forget(self, ids: np.ndarray) -> None:
        """Copies were put somewhere else: their steps before do not lead there."""
        self._took_part[:, ids] = False

    def of(self, index: int) -> dict[str, np.ndarray]:
        """The steps of a copy since it was put somewhere, the present one last, ``[K, ...]`` by name."""
        order = np.arange(self._slot + 1, self._slot + 1 + len(self._took_part)) % len(self._took_part)
        order = order[self._took_part[order, index]]
        return {name: rows[order, index].copy() for name, rows in self._rows.items()}
