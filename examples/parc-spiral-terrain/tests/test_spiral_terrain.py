"""The promises of every terrain source, and what is particular to a spiral."""

import numpy as np
import pytest

from parc_spiral_terrain.spiral import SpiralConfig, SpiralTerrain, spiral_height
from parc_testing.contracts.terrain_source import TerrainSourceContract

SMOOTH = {
    "dim_x": 81,
    "dim_y": 81,
    "cell": 0.1,
    "ramp_width": 1.0,
    "platform": 0.5,
    "step_height": 0.0,
    "max_shift": 0.0,
}


class TestSpiral(TerrainSourceContract):
    @pytest.fixture(params=[{}, {"gap": 0.8, "gap_height": 4.0, "direction": "left"}], ids=["plain", "walls"])
    def make(self, request):
        return lambda: SpiralTerrain(SpiralConfig(**request.param))


def heights(config: SpiralConfig, rise: float = 1.0, foot: float = 0.0, sign: int = 1) -> np.ndarray:
    return spiral_height(config, rise, foot, sign, np.zeros(2))


def along(config: SpiralConfig, height: np.ndarray, turns: np.ndarray, sign: int = 1) -> np.ndarray:
    """Heights on the ramp's center line after a number of turns from a foot in direction +x."""
    radius = (
        config.platform + config.ramp_width / 2 + (config.ramp_width + config.gap) * (config.turns - turns)
    )
    angle = sign * 2 * np.pi * turns
    xy = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)
    i, j = np.round(xy / config.cell + (config.dim_x - 1) / 2).astype(int).T
    return height[i, j]


@pytest.mark.parametrize("sign", [1, -1], ids=["left", "right"])
@pytest.mark.parametrize("rise", [1.0, -0.6], ids=["up", "down"])
def test_ramp_climbs_evenly_from_the_ground_to_the_platform(sign, rise):
    config = SpiralConfig(turns=2.0, **SMOOTH)
    turns = np.linspace(0.05, 1.95, 60)
    got = along(config, heights(config, rise, sign=sign), turns, sign)
    # a cell is 0.1 m; at 0.8 m from the center half a diagonal of it is 0.014 turns
    np.testing.assert_allclose(got, rise * turns, atol=0.02)
    middle = heights(config, rise, sign=sign)[40, 40]
    assert middle == pytest.approx(2 * rise)


def test_ground_outside_is_level():
    config = SpiralConfig(turns=2.0, **SMOOTH)
    x = (np.arange(81) - 40) * 0.1
    radius = np.hypot(*np.meshgrid(x, x, indexing="ij"))
    # the ramp's outer edge: 0.5 + 0.5 + 2 * 1.0 + 0.5
    assert (heights(config)[radius > 3.5] == 0).all()
    assert config.outer_edge == pytest.approx(3.5)


def test_steps_have_their_height():
    config = SpiralConfig(turns=2.0, **{**SMOOTH, "step_height": 0.25})
    levels = np.unique(heights(config).round(9))
    assert levels.tolist() == [0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0]


def test_gap_lies_between_windings_and_nowhere_else():
    config = SpiralConfig(turns=1.5, gap=0.5, gap_height=-3.0, **SMOOTH)
    height = heights(config)
    assert (along(config, height, np.linspace(0.05, 1.45, 40)) >= 0).all(), "the ramp is free"
    assert height[40, 40] == pytest.approx(1.5), "so is the platform"
    # to -x, half a turn from the foot, the ramp lies 2.0 to 3.0 m from the center and again 0.5 to 1.5 m
    x = (np.arange(40) - 40) * 0.1
    assert x[height[:40, 40] == -3.0] == pytest.approx([-1.9, -1.8, -1.7, -1.6])


def test_direction_is_the_mirror_image():
    config = SpiralConfig(turns=2.0, **SMOOTH)
    left, right = heights(config, sign=1), heights(config, sign=-1)
    # the foot lies on y = 0, so the cells there belong to either side of it
    np.testing.assert_allclose(np.delete(left, 40, axis=1), np.delete(right[:, ::-1], 40, axis=1))


def test_terrains_differ_within_the_settings():
    source = SpiralTerrain(SpiralConfig(turns=2.0, min_rise=1.0, max_rise=1.5, step_height=0.0))
    tops = [source.sample(np.random.default_rng(seed)).height.max() for seed in range(20)]
    assert 2.0 - 1e-6 <= min(tops) < max(tops) <= 3.0 + 1e-6


def test_spiral_that_does_not_fit_is_refused():
    with pytest.raises(ValueError) as caught:
        SpiralConfig(dim_x=16, dim_y=32, turns=3.0)
    # 2 * (0.8 + 0.8 + 3 * 1.6 + 0.8 + 0.8) = 16 m; 16 cells of 0.4 m
    assert str(caught.value) == (
        "3 turns of 1.6 m around a platform need 16.00 m with their shift, but the terrain is 6.40 m wide. "
        "Lower turns, ramp_width, gap, platform or max_shift, or raise dim_x and dim_y"
    )


@pytest.mark.parametrize("name", SpiralConfig.PRESETS)
def test_preset_fits_the_default_terrain(name):
    source = SpiralTerrain(SpiralConfig(**SpiralConfig.PRESETS[name]))
    height = source.sample(np.random.default_rng(0)).height
    assert np.ptp(height) > 1.0


def test_exchanged_limits_are_refused():
    with pytest.raises(ValueError, match=r"min_rise is 2\.0, more than max_rise 1\.6\. Exchange the two"):
        SpiralConfig(min_rise=2.0)
