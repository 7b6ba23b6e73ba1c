"""Levels of the tests (`parc_testing.levels`), where they write, and the table of what they measured."""

from __future__ import annotations

import os
import pathlib
import shutil
import tempfile
from collections.abc import Callable

import pytest

from parc_testing.levels import level

MEMORY = pathlib.Path("/dev/shm")
ROOM_GB = 6.0  # the tests write at most a third of this at a time

# Thousands of tests wait for `fsync`. Unless TMPDIR says where to write, they write to memory where there is room.
if (
    "TMPDIR" not in os.environ
    and level() == "pr"
    and os.access(MEMORY, os.W_OK)
    and shutil.disk_usage(MEMORY).free > ROOM_GB * 1e9
):
    os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is marked `nightly`, unless this is the night."""
    if level() == "nightly":
        return
    out = [item for item in items if item.get_closest_marker("nightly")]
    if out:
        config.hook.pytest_deselected(items=out)
        items[:] = [item for item in items if not item.get_closest_marker("nightly")]


@pytest.fixture
def measured(record_property: Callable[[str, object], None]) -> Callable[[str, str], None]:
    """``measured(what, figure)``: a row of the table that is printed after the tests."""

    def row(what: str, figure: str) -> None:
        record_property("measured", f"{what}|{figure}")

    return row


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table."""
    reports = [one for outcome in ("passed", "failed") for one in terminalreporter.stats.get(outcome, [])]
    rows = [
        str(value).partition("|")[::2]
        for one in reports
        for name, value in getattr(one, "user_properties", [])
        if name == "measured" and one.when == "call"
    ]
    if not rows:
        return
    terminalreporter.section(f"measured, level {level()}")
    width = max(len(what) for what, _ in rows)
    for what, figure in sorted(rows):
        terminalreporter.write_line(f"{what:<{width}}  {figure}")
