"""Terrain from one of several sources, each with its share."""

from __future__ import annotations

import math

import attrs
import numpy as np

from parc_core.config import Use, setting
from parc_core.errors import ConfigError
from parc_core.interfaces import TerrainSource
from parc_core.plugins import Registry
from parc_motion.terrains import Terrain

__all__ = ["MixtureConfig", "MixtureTerrain"]


@attrs.frozen(kw_only=True)
class MixtureConfig:
    """Settings of `mixture`."""

    sources: tuple[Use, ...] = setting(
        (Use("boxes"), Use("stairs"), Use("paths")),
        kind="terrain_source",
        help="Terrain sources, each with its probability as `weight`; mixtures can be nested.",
    )

    def __attrs_post_init__(self) -> None:
        if not self.sources:
            raise ConfigError("mixture: sources is empty, expected at least one terrain source.")
        for use in self.sources:
            if not (math.isfinite(use.weight) and use.weight >= 0):
                raise ConfigError(f"mixture: the weight of '{use.name}' is {use.weight}, expected >= 0.")
        if sum(use.weight for use in self.sources) <= 0:
            names = ", ".join(f"'{use.name}'" for use in self.sources)
            raise ConfigError(f"mixture: all weights are 0 ({names}), expected one above 0.")


class MixtureTerrain(TerrainSource):
    """Draws a source by its share, then a terrain of it; sizes may differ from terrain to terrain.

    The sources are made by name through the registry, those of other distributions like those of this one.
    """

    def __init__(self, config: MixtureConfig) -> None:
        self.config = config
        registry = Registry.discover()
        self.sources = [registry.create("terrain_source", use) for use in config.sources]
        weight = np.array([use.weight for use in config.sources], dtype=float)
        weight /= weight.max()  # the sum of huge weights stays finite
        self.share = weight / weight.sum()

    def sample(self, rng: np.random.Generator) -> Terrain:
        """A terrain of one of the sources."""
        return self.sources[int(rng.choice(len(self.sources), p=self.share))].sample(rng)
