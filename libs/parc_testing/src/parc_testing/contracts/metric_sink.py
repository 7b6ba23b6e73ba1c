"""What every `metric_sink` promises."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any

import pytest

from parc_core.interfaces import JobInfo, MetricRecord, MetricSink

__all__ = ["MetricSinkContract", "make_job_info"]


def make_job_info(folder: pathlib.Path, **settings: Any) -> JobInfo:
    """What a run says of a training whose files will lie in `folder`."""
    return JobInfo(
        run="demo",
        iteration=1,
        stage="train_gen",
        name=f"iter_001/{folder.name}",
        folder=folder,
        run_folder=folder.parent,
        settings={"name": "demo", "seed": 3, "dataset": [{"use": "folder"}], **settings},
        versions={"parc-core": "0.1.0"},
    )


class MetricSinkContract:
    """Subclass it and give a fixture ``make`` that returns a function from a folder to a fresh sink.

    A sink whose numbers can be read back overrides `read`, one that keeps times `read_times`, and one that takes `job`
    the fixture ``make_for_job``; the tests that need them are skipped otherwise.

    class TestMine(MetricSinkContract):
        @pytest.fixture
        def make(self):
            return lambda folder: MySink(MyConfig(), folder=folder)

        @pytest.fixture
        def make_for_job(self):
            return lambda folder, job: MySink(MyConfig(), folder=folder, job=job)
    """

    @pytest.fixture
    def make_for_job(self) -> Callable[[pathlib.Path, JobInfo], MetricSink]:
        """A function from a folder and a job to a fresh sink."""
        pytest.skip("this sink's suite does not say how to make it for a job")

    def read(self, folder: pathlib.Path) -> list[tuple[int, str, float]]:
        """(step, name, value) of everything that sinks have kept in the folder, in order."""
        pytest.skip("this sink's suite does not say how to read its numbers back")

    def read_times(self, folder: pathlib.Path) -> list[float]:
        """Wall time of everything that sinks have kept in the folder, in order, s since the epoch."""
        pytest.skip("this sink's suite does not say how to read its times back")

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

    def test_keeps_when_a_value_was_reported(
        self, make: Callable[[pathlib.Path], MetricSink], tmp_path: pathlib.Path
    ) -> None:
        sink = make(tmp_path)
        sink.write([MetricRecord(1, "kin_gen/kept", 3.0, 1_700_000_000.125)])
        sink.write([MetricRecord(1, "kin_gen/kept", 3.0, 1_700_000_009.5)])
        sink.close()
        assert self.read_times(tmp_path) == pytest.approx([1_700_000_000.125, 1_700_000_009.5], abs=1e-3)

    def test_a_resumed_job_may_work_elsewhere_with_other_settings(
        self, make_for_job: Callable[[pathlib.Path, JobInfo], MetricSink], tmp_path: pathlib.Path
    ) -> None:
        lasting = tmp_path / "p1_train_gen"
        for step in (1, 2):
            sink = make_for_job(tmp_path, make_job_info(lasting, length=step))
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
