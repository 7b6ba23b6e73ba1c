"""Named random streams: a new consumer does not change the others."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import attrs
import numpy as np

if TYPE_CHECKING:
    import torch

__all__ = ["SeedStreams"]


@attrs.frozen
class SeedStreams:
    """Independent generators by name, all determined by one seed.

    >>> seeds = SeedStreams(7)
    >>> rng = seeds.numpy("kin_gen", batch=3)
    """

    seed: int
    prefix: tuple[str, ...] = ()

    def child(self, name: str, **keys: int | str) -> SeedStreams:
        """Streams below a name: what a stage or plugin hands on."""
        return SeedStreams(self.seed, (*self.prefix, _label(name, keys)))

    def numpy(self, name: str, **keys: int | str) -> np.random.Generator:
        """A fresh NumPy generator for the name; equal names give equal streams."""
        return np.random.Generator(np.random.PCG64(self.integer(name, **keys)))

    def torch(self, name: str, device: str = "cpu", **keys: int | str) -> torch.Generator:
        """A fresh torch generator for the name."""
        import torch

        generator = torch.Generator(device=device)
        generator.manual_seed(self.integer(name, **keys) % (1 << 63))
        return generator

    def integer(self, name: str, **keys: int | str) -> int:
        """A 64-bit number for the name."""
        text = "/".join((str(self.seed), *self.prefix, _label(name, keys)))
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")


def _label(name: str, keys: dict[str, int | str]) -> str:
    return ",".join([name, *(f"{key}={value}" for key, value in sorted(keys.items()))])
