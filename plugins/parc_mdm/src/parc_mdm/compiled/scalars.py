"""Small functions of one number that kernels are made of: storage formats, random bits, exponential, normal density."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from parc_mdm.compiled.jit import kernel

__all__ = ["drop_limit", "exp", "is_kept", "narrow", "normal", "wide"]


def wide(x: Any) -> Any:
    """A stored number as float32: bfloat16 lies in the upper half of a float32. Only for kernels."""
    raise NotImplementedError


def narrow(like: Any, x: Any) -> Any:
    """A float32 as it is stored among numbers such as `like`; bfloat16 rounds to nearest, ties to even. Only for
    kernels."""
    raise NotImplementedError


# Numba compares the signatures, annotations included: there are none
@overload(wide, inline="always")
def _wide(x):  # type: ignore[no-untyped-def]
    if isinstance(x, types.Integer):
        return lambda x: np.uint32(np.uint32(x) << np.uint32(16)).view(np.float32)
    return lambda x: x


@overload(narrow, inline="always")
def _narrow(like, x):  # type: ignore[no-untyped-def]
    if not isinstance(like, types.Integer):
        return lambda like, x: x

    def rounded(like, x):  # type: ignore[no-untyped-def]
        bits = np.float32(x).view(np.uint32)
        odd = np.uint32(np.uint32(bits >> np.uint32(16)) & np.uint32(1))
        return np.uint16(np.uint32(bits + np.uint32(0x7FFF) + odd) >> np.uint32(16))

    return rounded


@kernel(inline="always")
def is_kept(index: int, seed: int, limit: int) -> bool:
    """Whether dropout keeps number `index`: 32 well mixed bits of index and seed are at least `limit`.

    Source: the multipliers and shifts are Chris Wellons' "lowbias32" (public domain).
    """
    x = np.uint32(np.uint32(index) ^ np.uint32(seed))
    x = np.uint32(np.uint32(x ^ np.uint32(x >> np.uint32(16))) * np.uint32(0x7FEB352D))
    x = np.uint32(np.uint32(x ^ np.uint32(x >> np.uint32(15))) * np.uint32(0x846CA68B))
    return np.uint32(x ^ np.uint32(x >> np.uint32(16))) >= limit


@kernel(inline="always")
def drop_limit(rate: float) -> int:
    """The `limit` of `is_kept` that drops a share `rate` of all numbers."""
    return np.uint32(rate * 4294967296.0)


@kernel(inline="always")
def exp(x: float) -> float:
    """e^x for x <= 0, within two units of the last place; 0 below -87.

    Source: range reduction and polynomial of the Cephes library (S. Moshier).
    """
    y = max(x, np.float32(-87.0))
    n = np.floor(y * np.float32(1.44269504) + np.float32(0.5))
    f = (y - n * np.float32(0.693359375)) + n * np.float32(2.12194440e-4)
    p = np.float32(1.98756915e-4)
    p = p * f + np.float32(1.39819995e-3)
    p = p * f + np.float32(8.33345191e-3)
    p = p * f + np.float32(4.16657959e-2)
    p = p * f + np.float32(1.66666654e-1)
    p = p * f + np.float32(5.00000012e-1)
    power = np.uint32(np.uint32(np.int32(n) + np.int32(127)) << np.uint32(23)).view(np.float32)
    result = (p * f * f + f + np.float32(1.0)) * power
    return result if x >= np.float32(-87.0) else np.float32(0.0)


@kernel(inline="always")
def normal(x: float) -> tuple[float, float]:
    """Density of the standard normal distribution at x, and the share of it below x (within 1e-7).

    Source: Abramowitz and Stegun, 7.1.26.
    """
    bell = exp(np.float32(-0.5) * x * x)
    t = np.float32(1.0) / (np.float32(1.0) + np.float32(0.3275911 * 0.70710678) * abs(x))
    p = np.float32(1.061405429)
    p = p * t - np.float32(1.453152027)
    p = p * t + np.float32(1.421413741)
    p = p * t - np.float32(0.284496736)
    p = p * t + np.float32(0.254829592)
    above = np.float32(0.5) * p * t * bell
    return bell * np.float32(0.39894228), (np.float32(1.0) - above if x >= np.float32(0.0) else above)
