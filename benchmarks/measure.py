"""Timing that every benchmark shares: CPU time of this process, medians, one table or one JSON object.

The time is that of the process, so other work on the machine counts as little as can be; one thread. Garbage is
collected before each figure, not during it.
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import statistics
import time
from collections.abc import Callable

import attrs

__all__ = ["Figure", "arguments", "cpu_ms", "make_parser", "report"]


@attrs.frozen(kw_only=True)
class Figure:
    """One measured number; `published` is that of the published implementation, where somebody measured it."""

    name: str
    value: float
    unit: str = "ms CPU"
    published: float | None = None
    spread: tuple[float, float] | None = None  # 10th and 90th percentile, in `unit`
    note: str = ""


def make_parser(description: str | None, repeat: int) -> argparse.ArgumentParser:
    """A parser with the options of every benchmark: ``--repeat`` and ``--json``."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeat", type=int, default=repeat, help=f"measurements of each figure ({repeat})")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    return parser


def arguments(description: str | None, repeat: int) -> argparse.Namespace:
    """The options of a benchmark that has no others; see `make_parser`."""
    return make_parser(description, repeat).parse_args()


def cpu_ms(
    name: str, call: Callable[[int], object], repeat: int, published: float | None = None, note: str = ""
) -> Figure:
    """Median CPU time of ``call(i)``, i = 0 .. repeat - 1; one call before that fills caches."""
    call(0)
    gc.collect()
    times = []
    for i in range(repeat):
        start = time.process_time_ns()
        call(i)
        times.append((time.process_time_ns() - start) / 1e6)
    times.sort()
    spread = (times[len(times) // 10], times[len(times) * 9 // 10])
    return Figure(name=name, value=statistics.median(times), published=published, spread=spread, note=note)


def report(figures: list[Figure], as_json: bool) -> None:
    """Print the figures: a table for people, or ``{"<name>": {"value": ..., "unit": ..., "published": ...}}``."""
    if as_json:
        print(json.dumps({figure.name: _record(figure) for figure in figures}, indent=2))
        return
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, one thread")
    print(f"{'figure':34s} {'median':>10s} {'p10':>10s} {'p90':>10s} {'unit':8s} {'published':>10s}  note")
    for figure in figures:
        low, high = (f"{value:10.3f}" for value in figure.spread) if figure.spread else (" " * 10, " " * 10)
        published = "" if figure.published is None else f"{figure.published:g}"
        print(
            f"{figure.name:34s} {figure.value:10.3f} {low} {high} {figure.unit:8s} {published:>10s}  {figure.note}"
        )


def _record(figure: Figure) -> dict[str, object]:
    record: dict[str, object] = {"value": figure.value, "unit": figure.unit}
    if figure.published is not None:
        record["published"] = figure.published
    if figure.note:
        record["note"] = figure.note
    return record
