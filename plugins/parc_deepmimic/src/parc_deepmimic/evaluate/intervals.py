"""95 % confidence intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

__all__ = ["bootstrap_ratio", "wilson"]

_Z = 1.959964  # quantile 0.975 of the normal distribution
_RESAMPLES = 2000


def wilson(hits: float, trials: int) -> tuple[float, float] | tuple[None, None]:
    """Interval of a share of independent trials; none without trials.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", 1927.
    """
    if trials == 0:
        return None, None
    share, z2 = hits / trials, _Z * _Z
    middle = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = _Z / (1 + z2 / trials) * math.sqrt(share * (1 - share) / trials + z2 / (4 * trials * trials))
    return max(0.0, middle - half), min(1.0, middle + half)


def bootstrap_ratio(
    sums: Sequence[float], counts: Sequence[float], *, is_share: bool = False, seed: int = 0
) -> tuple[float, float] | tuple[None, None]:
    """Interval of ``sum(sums) / sum(counts)`` over other motions of the same kind; none for one motion.

    Starts of one motion are not independent, so whole motions are resampled, not starts.

    Args:
        sums: per motion, ``[M]``.
        counts: per motion, ``[M]``.
        is_share: the ratio is a share, 0..1. At 0 and 1, where resampling gives no variance, the interval is that of
            independent motions.
    """
    motions = len(sums)
    top, bottom = np.asarray(sums, dtype=np.float64), np.asarray(counts, dtype=np.float64)
    if motions < 2 or bottom.sum() == 0:
        return None, None
    ratio = top.sum() / bottom.sum()
    if is_share and ratio in (0.0, 1.0):
        return wilson(ratio * motions, motions)
    drawn = np.random.default_rng(seed).integers(motions, size=(_RESAMPLES, motions))
    weight = bottom[drawn].sum(axis=1)
    ratios = top[drawn].sum(axis=1)[weight > 0] / weight[weight > 0]
    low, high = np.quantile(ratios, [0.025, 0.975])
    return float(low), float(high)
