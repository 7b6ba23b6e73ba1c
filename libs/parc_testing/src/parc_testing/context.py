"""A stage context for tests: files below a folder, numbers kept in lists."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Mapping

import attrs

from parc_core.interfaces import SeedStreams, StageContext
from parc_motion.storage import CheckpointStore, make_folder

__all__ = ["KeptMetrics", "KeptProgress", "make_context"]


@attrs.define
class KeptMetrics:
    """Keeps what was written as ``(step, values)``."""

    rows: list[tuple[int, dict[str, float]]] = attrs.field(factory=list)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Keep a row."""
        self.rows.append((step, dict(values)))


@attrs.define
class KeptProgress:
    """Keeps what was reported as ``(done, total, note)``."""

    rows: list[tuple[float, float, str]] = attrs.field(factory=list)

    def update(self, done: float, total: float, note: str = "") -> None:
        """Keep a report."""
        self.rows.append((done, total, note))


def make_context(
    folder: pathlib.Path, *, seed: int = 0, threads: int = 1, should_stop: Callable[[], bool] = lambda: False
) -> StageContext:
    """A context that works in ``folder / "out"``, with checkpoints and a cache beside it."""
    out = folder / "out"
    make_folder(out)
    return StageContext(
        folder=out,
        checkpoints=CheckpointStore(folder=folder / "checkpoints"),
        cache=folder / "cache",
        seeds=SeedStreams(seed),
        metrics=KeptMetrics(),
        progress=KeptProgress(),
        threads=threads,
        should_stop=should_stop,
    )
