"""How a run shows itself: a live display on a terminal, a line now and then elsewhere. All of it goes to stderr."""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TextIO, cast

import attrs

from parc_core.cli.streams import Lasting

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

__all__ = ["LineReporter", "LiveReporter", "console_reporter", "format_remaining"]

SECONDS_BETWEEN_LINES = 5.0


@contextlib.contextmanager
def console_reporter(
    *, debug: bool = False, stream: TextIO | None = None
) -> Iterator[LineReporter | LiveReporter]:
    """A reporter for the terminal or file that stderr is; meanwhile log records of PARC and its plugins go there too.

    Args:
        debug: log DEBUG records as well, not only INFO and above.
        stream: instead of stderr.
    """
    lasting = Lasting(stream if stream is not None else sys.stderr)
    with contextlib.ExitStack() as stack:
        if lasting.isatty():
            from rich.console import Console

            reporter: LineReporter | LiveReporter = stack.enter_context(
                LiveReporter.show(Console(file=cast(TextIO, lasting)))
            )
        else:
            reporter = LineReporter(stream=cast(TextIO, lasting))
        handler = _ReporterHandler(reporter, logging.DEBUG if debug else logging.INFO)
        root = logging.getLogger()
        level = root.level
        root.addHandler(handler)
        root.setLevel(min(level, handler.level))
        stack.callback(root.setLevel, level)
        stack.callback(root.removeHandler, handler)
        yield reporter


@attrs.define(kw_only=True)
class LineReporter:
    """One line per event, and at most one about progress every few seconds.

    ``12:04:31 kin_gen        3/10  batch 3 of 10  0.5/s  about 4 min left``
    """

    stream: TextIO
    seconds_between_lines: float = SECONDS_BETWEEN_LINES
    clock: Callable[[], float] = time.monotonic
    wall_clock: Callable[[], str] = lambda: time.strftime("%H:%M:%S")
    _pace: dict[str, _Pace] = attrs.field(factory=dict, init=False)
    _last_line: float = attrs.field(default=float("-inf"), init=False)

    def message(self, stage: str, text: str) -> None:
        """One line for a person who follows the run."""
        print(f"{self.wall_clock()} {stage:<14} {text}", file=self.stream, flush=True)

    def update(self, stage: str, done: float, total: float, note: str) -> None:
        """How far a stage is; may be called very often."""
        now = self.clock()
        pace = self._pace.get(stage)
        if pace is None or not pace.continues(done, total):
            self._pace[stage] = pace = _Pace(now, done, total)
        pace.last = done
        if now - self._last_line < self.seconds_between_lines:
            return
        self._last_line = now
        self.message(
            stage, "  ".join(part for part in (_share(done, total), note, pace.text(now, done)) if part)
        )


@attrs.define
class _Pace:
    """Speed of a stage since it began to report."""

    start: float  # s
    first: float
    total: float
    last: float = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.last = self.first

    def continues(self, done: float, total: float) -> bool:
        """Whether a report belongs to the same piece of work."""
        return total == self.total and done >= self.last

    def text(self, now: float, done: float) -> str:
        """Speed and remaining time; empty as long as neither is known."""
        seconds, steps = now - self.start, done - self.first
        if seconds <= 0 or steps <= 0:
            return ""
        speed = steps / seconds
        return f"{speed:.3g}/s  {format_remaining((self.total - done) / speed)}"


@attrs.define
class LiveReporter:
    """Bars at the bottom of a terminal, one per stage at work, events above them."""

    progress: Progress
    _tasks: dict[str, TaskID] = attrs.field(factory=dict, init=False)

    @classmethod
    @contextlib.contextmanager
    def show(cls, console: Any) -> Iterator[LiveReporter]:
        """A reporter whose display ends with the `with` block."""
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description:<14}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeRemainingColumn(elapsed_when_finished=True),
            TextColumn("{task.fields[note]}"),
        )
        with Progress(*columns, console=console, refresh_per_second=4) as progress:
            yield cls(progress)

    def message(self, stage: str, text: str) -> None:
        """One line above the bars."""
        from rich.text import Text

        task = self._tasks.pop(stage, None)
        if task is not None:
            self.progress.remove_task(task)
        self.progress.console.print(Text(f"{time.strftime('%H:%M:%S')} {stage:<14} {text}"))

    def update(self, stage: str, done: float, total: float, note: str) -> None:
        """Move the stage's bar."""
        task = self._tasks.get(stage)
        if task is None:
            self._tasks[stage] = task = self.progress.add_task(stage, total=total, note=note)
        self.progress.update(task, completed=done, total=total, note=note)


class _ReporterHandler(logging.Handler):
    """Log records of PARC and its plugins as messages; those of other libraries from WARNING on."""

    def __init__(self, reporter: LineReporter | LiveReporter, level: int) -> None:
        super().__init__(level)
        self.reporter = reporter

    def emit(self, record: logging.LogRecord) -> None:
        """Show one record."""
        if not record.name.startswith("parc") and record.levelno < logging.WARNING:
            return
        try:
            self.reporter.message(record.levelname.lower(), self.format(record))
        except (OSError, ValueError, TypeError):
            self.handleError(record)


def format_remaining(seconds: float) -> str:
    """``about 4 min left``."""
    if seconds < 90:
        return f"about {max(seconds, 1):.0f} s left"
    if seconds < 5400:
        return f"about {seconds / 60:.0f} min left"
    return f"about {seconds / 3600:.1f} h left"


def _share(done: float, total: float) -> str:
    return f"{done:g}/{total:g}" if total > 0 else f"{done:g}"
