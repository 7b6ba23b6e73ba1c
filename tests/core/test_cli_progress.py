import io
import logging

import pytest

from parc_core.cli.progress import LineReporter, LiveReporter, console_reporter, format_remaining


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def lines(clock):
    stream = io.StringIO()
    reporter = LineReporter(stream=stream, clock=clock, wall_clock=lambda: "12:04:31")
    return reporter, stream


def test_event_is_one_line(lines):
    reporter, stream = lines
    reporter.message("kin_gen", "batch 3/10  kept 41 of 50")
    assert stream.getvalue() == "12:04:31 kin_gen        batch 3/10  kept 41 of 50\n"


def test_progress_says_how_far_how_fast_and_how_long_still(lines, clock):
    reporter, stream = lines
    reporter.update("kin_gen", 0, 10, "batch 1")
    clock.now = 60.0
    reporter.update("kin_gen", 2, 10, "batch 3")
    # 2 in 60 s = 0.0333/s; the other 8 take 240 s = 4 min
    assert stream.getvalue().splitlines() == [
        "12:04:31 kin_gen        0/10  batch 1",
        "12:04:31 kin_gen        2/10  batch 3  0.0333/s  about 4 min left",
    ]


def test_progress_is_silent_for_some_seconds_after_a_line(lines, clock):
    reporter, stream = lines
    for step in range(100):
        clock.now = step * 0.1
        reporter.update("train_gen", step, 100, "")
    assert len(stream.getvalue().splitlines()) == 2  # at 0 s and 5 s


def test_new_piece_of_work_starts_a_new_pace(lines, clock):
    reporter, stream = lines
    reporter.update("kin_gen", 90, 100, "")
    clock.now = 10.0
    reporter.update("kin_gen", 0, 100, "again")
    assert stream.getvalue().splitlines()[-1] == "12:04:31 kin_gen        0/100  again"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "about 1 s left"),
        (89, "about 89 s left"),
        (600, "about 10 min left"),
        (9000, "about 2.5 h left"),
    ],
)
def test_remaining_time_in_words(seconds, text):
    assert format_remaining(seconds) == text


def test_log_records_reach_the_reporter_only_inside_the_block():
    stream = io.StringIO()
    log = logging.getLogger("parc_core.somewhere")
    with console_reporter(stream=stream):
        log.info("inside")
        log.debug("too fine")
        logging.getLogger("somebody").info("somebody else's")
        logging.getLogger("somebody").warning("somebody else's warning")
    log.warning("outside")
    shown = [line.split(maxsplit=1)[1] for line in stream.getvalue().splitlines()]
    assert shown == ["info           inside", "warning        somebody else's warning"]


def test_live_display_shows_events_and_bars():
    from rich.console import Console

    stream = io.StringIO()
    with LiveReporter.show(Console(file=stream, force_terminal=True, width=100)) as reporter:
        reporter.update("kin_gen", 1, 4, "[not markup]")
        reporter.update("kin_gen", 2, 4, "[not markup]")
        reporter.message("kin_gen", "done [1]")
    shown = stream.getvalue()
    assert "done [1]" in shown and "kin_gen" in shown
