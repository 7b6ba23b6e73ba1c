"""The banded normal equations of a motion: SciPy, as retargeting solves them, and compiled, as refinement does.

Run: ``python benchmarks/bench_normal_equations.py [--repeat 5] [--json]``. Both get one positive definite matrix of 512
frames of 34 coordinates that couples each frame with the next two (retargeting) or three (refinement), in float64, and
their solutions are compared. The last figure is what `retarget` spends in SciPy's factorization: the most that another
one could save.
"""

from __future__ import annotations

import cProfile
import pstats

import attrs
import numpy as np
import torch
from bench_retarget import NAMES, SIZE, walker
from measure import Figure, arguments, cpu_ms, report
from scipy.linalg import solveh_banded

from parc_data.retarget import retarget
from parc_kinopt.compiled.cholesky import factor, solve_with
from parc_motion.skeletons import load_skeleton

FRAMES, SIZE_OF_FRAME = 512, 34
REACH = 4  # blocks of a column of the compiled factor, the diagonal one included


def main() -> None:
    """Print one table, or one JSON object."""
    options = arguments(__doc__, repeat=5)
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    right = rng.normal(size=(FRAMES, SIZE_OF_FRAME))
    figures: list[Figure] = []
    for reach in (3, REACH):
        blocks = matrix(rng, reach)
        band = band_of(blocks[:, :reach])
        gap = np.abs(by_scipy(band, right) - compiled(blocks, right)).max()
        assert gap < 1e-8, gap
        figures += [
            cpu_ms(f"scipy_{reach}_blocks", lambda _, band=band: by_scipy(band, right), options.repeat),
            cpu_ms(
                f"compiled_{reach}_blocks", lambda _, blocks=blocks: compiled(blocks, right), options.repeat
            ),
        ]
    figures.append(Figure(name="share_of_retargeting", value=share_of_retargeting(), unit="of 1"))
    report(figures, options.json)


def matrix(rng: np.random.Generator, reach: int) -> np.ndarray:
    """Lower blocks ``[T, 4, V, V]`` of a matrix whose diagonal dominates."""
    blocks = np.zeros((FRAMES, REACH, SIZE_OF_FRAME, SIZE_OF_FRAME))
    for k in range(reach):
        blocks[: FRAMES - k, k] = rng.normal(size=(FRAMES - k, SIZE_OF_FRAME, SIZE_OF_FRAME))
    blocks[:, 0] = blocks[:, 0] + blocks[:, 0].transpose(0, 2, 1)
    blocks[:, 0] += 10 * REACH * SIZE_OF_FRAME * np.eye(SIZE_OF_FRAME)
    return blocks


def band_of(blocks: np.ndarray) -> np.ndarray:
    """The lower band that SciPy reads, ``[reach * V, T * V]``."""
    frames, reach, size = blocks.shape[:3]
    band = np.zeros((reach * size, frames * size))
    for column in range(frames * size):
        frame, j = divmod(column, size)
        below = blocks[frame, :, :, j].reshape(-1)[j:]
        band[: len(below), column] = below
    return band


def by_scipy(band: np.ndarray, right: np.ndarray) -> np.ndarray:
    return solveh_banded(band, right.ravel(), lower=True, check_finite=False).reshape(right.shape)


def compiled(blocks: np.ndarray, right: np.ndarray) -> np.ndarray:
    own, answer = blocks.copy(), right.copy()
    inverses = np.empty((FRAMES, SIZE_OF_FRAME, SIZE_OF_FRAME))
    assert factor(own, 0.0, inverses)
    solve_with(own, inverses, answer)
    return answer


def share_of_retargeting() -> float:
    """Time inside SciPy's solver as a share of a whole call of `retarget`, by the profiler."""
    itself, humanoid = walker(), load_skeleton("humanoid")
    figure = attrs.evolve(
        itself, body_names=NAMES, offsets=SIZE * itself.offsets, root_pos=SIZE * itself.root_pos
    )
    retarget(figure, humanoid)
    profile = cProfile.Profile()
    profile.runcall(retarget, figure, humanoid)
    stats = pstats.Stats(profile).get_stats_profile()
    return stats.func_profiles["solveh_banded"].cumtime / stats.total_tt


if __name__ == "__main__":
    main()
