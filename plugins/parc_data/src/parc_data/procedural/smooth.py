"""Smooth curves through soft targets, second-order relations and one-sided bounds: banded least squares."""

from __future__ import annotations

import attrs
import numpy as np
from scipy.linalg import solveh_banded

__all__ = ["Curve", "blur", "min_jerk"]

_BAND = 3  # rows reach over four neighboring samples
_HARD = 1e4  # 1/unit; weight of hard constraints
_SHARES = (0.01, 0.1, 1.0)
_ROUNDS = 30
_SETTLED = 1e-5  # unit
_HALVINGS = 12

_Rows = tuple[np.ndarray, np.ndarray, np.ndarray]  # first sample [k], coefficients [k, w], value [k]


@attrs.define
class Curve:
    """Builder of a least-squares problem for a sampled curve x [n]; `solve` returns the solution.

    Every weight multiplies a residual, so 1 / weight is the size of a residual that counts as one.
    """

    num: int
    dt: float  # s
    _rows: list[_Rows] = attrs.field(factory=list)
    _bounds: list[_Rows] = attrs.field(factory=list)

    def jerk(self, scale: float) -> Curve:
        """Third derivatives near zero; `scale` (unit/s^3) counts as one."""
        start = np.arange(self.num - 3)
        self._add(start, np.array([-1.0, 3.0, -3.0, 1.0]) / (self.dt**3 * scale), np.zeros(self.num - 3))
        return self

    def near(self, index: np.ndarray, value: np.ndarray | float, weight: np.ndarray | float) -> Curve:
        """x[index] close to value."""
        index = np.asarray(index)
        weight = np.broadcast_to(weight, index.shape)
        self._add(index, weight[:, None] * np.ones(1), weight * value)
        return self

    def relation(self, index: np.ndarray, a: np.ndarray, b: np.ndarray, value: np.ndarray) -> Curve:
        """a x + b x'' close to value at inner samples; the weight is in a, b and value."""
        self._add(index - 1, _second(a, b, self.dt), value)
        return self

    def at_least(self, index: np.ndarray, bound: np.ndarray | float, weight: float = _HARD) -> Curve:
        """x[index] not below bound."""
        index = np.asarray(index)
        rows = np.full((len(index), 1), weight)
        self._bounds.append((index, rows, weight * np.broadcast_to(bound, index.shape)))
        return self

    def at_most(self, index: np.ndarray, bound: np.ndarray | float, weight: float = _HARD) -> Curve:
        """x[index] not above bound."""
        index = np.asarray(index)
        rows = np.full((len(index), 1), -weight)
        self._bounds.append((index, rows, -weight * np.broadcast_to(bound, index.shape)))
        return self

    def second_at_least(self, index: np.ndarray, bound: float, weight: float) -> Curve:
        """x'' not below bound at inner samples (above for a negative weight)."""
        n = len(index)
        rows = _second(np.zeros(n), np.full(n, weight), self.dt)
        self._bounds.append((index - 1, rows, np.full(n, weight * bound)))
        return self

    def solve(self) -> np.ndarray:
        """The curve, ``[n]``; broken bounds cost their weighted violation squared.

        Newton's method on that piecewise quadratic cost; the line search prevents it from cycling.
        """
        matrix, right = np.zeros((_BAND + 1, self.num)), np.zeros(self.num)
        for row in self._rows:
            _accumulate(matrix, right, *row)
        matrix[_BAND] += 1e-9
        x = solveh_banded(matrix, right)
        for share in (
            _SHARES if self._bounds else ()
        ):  # soft bounds first: then fewer of them change per iteration
            bounds = [(start, share * rows, share * value) for start, rows, value in self._bounds]
            for _ in range(_ROUNDS):
                lhs, rhs = matrix.copy(), right.copy()
                for start, rows, value in bounds:
                    on = _apply(x, start, rows) < value
                    _accumulate(lhs, rhs, start[on], rows[on], value[on])
                move = solveh_banded(lhs, rhs) - x
                if np.abs(move).max() < _SETTLED:
                    break
                x = x + self._step_length(x, move, bounds) * move
        return x

    def _step_length(self, x: np.ndarray, move: np.ndarray, limits: list[_Rows]) -> float:
        # exact line search: the cost is convex along the step, so bisection finds the zero of its slope
        rows = [(_apply(x, start, row) - value, _apply(move, start, row)) for start, row, value in self._rows]
        value, gain = (np.concatenate(column) for column in zip(*rows))
        slope, curvature = float(value @ gain), float(gain @ gain)
        bounds = [(_apply(x, start, row) - v, _apply(move, start, row)) for start, row, v in limits]
        room, change = (np.concatenate(column) for column in zip(*bounds))
        low, high = 0.0, 1.0
        for _ in range(_HALVINGS):
            t = 0.5 * (low + high)
            over = np.minimum(room + t * change, 0.0)
            if slope + t * curvature + float(over @ change) < 0.0:
                low = t
            else:
                high = t
        return high

    def _add(self, start: np.ndarray, rows: np.ndarray, value: np.ndarray) -> None:
        rows = np.broadcast_to(rows, (len(start), rows.shape[-1]))
        self._rows.append((start, rows, np.broadcast_to(value, start.shape)))


def min_jerk(phase: np.ndarray) -> np.ndarray:
    """0 to 1 with velocity and acceleration zero at both ends; constant outside: ``[...]`` for phase ``[...]``."""
    u = np.clip(phase, 0.0, 1.0)
    return u * u * u * (10.0 + u * (6.0 * u - 15.0))


def blur(x: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian average over the first axis, ends continued by their value; sigma in samples."""
    reach = max(1, round(4 * sigma))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    flat = np.pad(x.reshape(len(x), -1), ((reach, reach), (0, 0)), mode="edge")
    columns = [np.convolve(flat[:, i], kernel, mode="valid") for i in range(flat.shape[1])]
    return np.stack(columns, axis=-1).reshape(x.shape)


def _second(a: np.ndarray, b: np.ndarray, dt: float) -> np.ndarray:
    side = b / dt**2
    return np.stack([side, a - 2.0 * side, side], axis=-1)


def _apply(x: np.ndarray, start: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return sum(rows[:, k] * x[start + k] for k in range(rows.shape[1]))


def _accumulate(
    matrix: np.ndarray, right: np.ndarray, start: np.ndarray, rows: np.ndarray, value: np.ndarray
) -> None:
    # upper banded form of rows^T rows: entry (i, j) lies at [band + i - j, j]
    width = rows.shape[1]
    for i in range(width):
        np.add.at(right, start + i, rows[:, i] * value)
        for j in range(i, width):
            np.add.at(matrix[_BAND + i - j], start + j, rows[:, i] * rows[:, j])
