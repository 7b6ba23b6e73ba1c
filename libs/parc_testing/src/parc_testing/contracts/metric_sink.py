"""What every `metric_sink` promises."""

from __future__ import annotations

import pathlib
from collections.abc import Callable

import pytest

from parc_core.interfaces import MetricRecord, MetricSink

__all__ = ["MetricSinkContract"]


class MetricSinkContract:
    """Subclass it and give a fixture ``make`` that returns a function from a folder to a fresh sink.

    A sink whose numbers can be read back overrides `read`; the tests that need it are skipped otherwise.

    class TestMine(MetricSinkContract):
        @pytest.fixture
        def make(self):
            return lambda folder: MySink(MyConfig(), folder=folder)
    """

    def read(self, folder: pathlib.Path) -> list[tuple[int, str, float]]:
        """(step, name, value) of everything that sinks have kept in the folder, in order."""
        pytest.skip("this sink's suite does not say how to read its numbers back")

    def test_is_a_metric_sink(
        self, make: Callable[[pathlib.Path], MetricSink], tmp_path: pathlib.Path
    ) -> None:
        assert isinstance(make(tmp_path), MetricSink)

    def test_keeps_what_was_written(
        self, make: Callable[[pathlib.Path], MetricSink], tmp_path: pathlib.Path
    ) -> None:
        sink = make(tmp_path)
        sink.write([MetricRecord(1, "tracker/loss/actor", 0.5), MetricRecord(1, "tracker/loss/critic", -2.0)])
        sink.write([MetricRecord(2, "tracker/loss/actor", 1e-12)])
        sink.close()
        expected = [
            (1, "tracker/loss/actor", 0.5),
            (1, "tracker/loss/critic", -2.0),
            (2, "tracker/loss/actor", 1e-12),
        ]
        assert self.read(tmp_path) == expected

    def test_resumed_job_adds_to_what_is_there(
        self, make: Callable[[pathlib.Path], MetricSink], tmp_path: pathlib.Path
    ) -> None:
        for step in (1, 2):
            sink = make(tmp_path)
            sink.write([MetricRecord(step, "kin_gen/kept", 3.0)])
            sink.close()
        assert self.read(tmp_path) == [(1, "kin_gen/kept", 3.0), (2, "kin_gen/kept", 3.0)]

    def test_writing_nothing_is_allowed(
        self, make: Callable[[pathlib.Path], MetricSink], tmp_path: pathlib.Path
    ) -> None:
        sink = make(tmp_path)
        sink.write([])
        sink.close()

    def test_close_may_be_called_twice(
        self, make: Callable[[pathlib.Path], MetricSink], tmp_path: pathlib.Path
    ) -> None:
        sink = make(tmp_path)
        sink.close()
        sink.close()

    @pytest.mark.parametrize("value", [float("nan"), float("inf")], ids=["nan", "inf"])
    def test_value_that_is_not_finite_does_not_end_the_run(
        self, make: Callable[[pathlib.Path], MetricSink], tmp_path: pathlib.Path, value: float
    ) -> None:
        sink = make(tmp_path)
        sink.write([MetricRecord(1, "tracker/loss/actor", value)])
        sink.write([MetricRecord(2, "tracker/loss/actor", 1.0)])
        sink.close()
