"""Colors of heights, on one scale for a whole picture."""

from __future__ import annotations

from collections.abc import Iterable

import attrs
import numpy as np

__all__ = ["HeightScale"]

_LEAST_SPAN = 0.5  # m; smaller differences stay pale
_LIGHTEST, _DARKEST, _CHROMA = 0.965, 0.46, 0.105  # OKLab
_HUE_BELOW, _HUE_ABOVE = np.deg2rad(245.0), np.deg2rad(62.0)  # blue, ochre
# OKLab to cone responses, and those, cubed, to linear sRGB
_TO_CONES = np.array(
    [
        [1.0, 0.3963377774, 0.2158037573],
        [1.0, -0.1055613458, -0.0638541728],
        [1.0, -0.0894841775, -1.2914855480],
    ]
)
_TO_RGB = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)


@attrs.frozen(kw_only=True)
class HeightScale:
    """Diverging colors about level ground: pale at `neutral`, blue and darker below, ochre and darker above.

    Lightness falls in proportion to the distance from `neutral`, equally on both sides, so equal steps look equal.
    """

    low: float  # m, lowest height shown
    high: float  # m

    @classmethod
    def of(cls, heights: Iterable[np.ndarray]) -> HeightScale:
        """The scale that all these heights fit in."""
        ends = [(float(height.min()), float(height.max())) for height in heights]
        return cls(low=min(low for low, _ in ends), high=max(high for _, high in ends))

    @property
    def neutral(self) -> float:
        """Height without color: 0, or the end of the scale that is nearest to 0."""
        return min(max(0.0, self.low), self.high)

    def colors(self, height: np.ndarray) -> np.ndarray:
        """sRGB ``[..., 3]`` uint8 for heights ``[...]`` m.

        Source: Björn Ottosson, "A perceptual color space for image processing" (2020), for OKLab and its matrices.
        """
        span = max(self.high - self.neutral, self.neutral - self.low, _LEAST_SPAN)
        t = np.clip((np.asarray(height, dtype=np.float64) - self.neutral) / span, -1.0, 1.0)
        lightness = _LIGHTEST + (_DARKEST - _LIGHTEST) * np.abs(t)
        chroma, hue = _CHROMA * np.abs(t) ** 0.6, np.where(t < 0, _HUE_BELOW, _HUE_ABOVE)
        lab = np.stack([lightness, chroma * np.cos(hue), chroma * np.sin(hue)], axis=-1)
        linear = np.clip((lab @ _TO_CONES.T) ** 3 @ _TO_RGB.T, 0.0, 1.0)
        curved = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
        return np.round(255 * curved).astype(np.uint8)

    def ticks(self) -> list[float]:
        """Round heights on the scale, m; its one height where all ground is level."""
        if self.high - self.low < 1e-3:
            return [self.low]
        step = next(size for size in _tick_sizes(self.high - self.low) if (self.high - self.low) / size <= 8)
        first, last = np.ceil(self.low / step - 1e-6), np.floor(self.high / step + 1e-6)
        return [float(step * i) + 0.0 for i in np.arange(first, last + 1)]  # no -0


def _tick_sizes(span: float) -> list[float]:
    decade = 10.0 ** np.floor(np.log10(span) - 1)
    return [decade * factor for factor in (1, 2, 5, 10, 20, 50)]
