"""Levels of the tests, and the table of what they measured; see `parc_testing.levels`."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from parc_testing.levels import level


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
