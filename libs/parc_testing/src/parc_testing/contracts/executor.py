"""What every `executor` promises."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from parc_core.interfaces import Executor

__all__ = ["ExecutorContract"]


class ExecutorContract:
    """Subclass it and give a fixture ``make`` that returns a function making a fresh executor.

    class TestMine(ExecutorContract):
        @pytest.fixture
        def make(self):
            return lambda: MyExecutor(MyConfig())
    """

    def test_is_an_executor(self, make: Callable[[], Executor]) -> None:
        assert isinstance(make(), Executor)

    def test_every_job_gives_its_own_result_once(self, make: Callable[[], Executor]) -> None:
        results = list(make().map(_square, [3, 1, 2]))
        assert sorted(results) == [(0, 9), (1, 1), (2, 4)]

    def test_no_job_gives_no_result(self, make: Callable[[], Executor]) -> None:
        assert list(make().map(_square, [])) == []

    def test_equal_jobs_are_separate_jobs(self, make: Callable[[], Executor]) -> None:
        assert sorted(make().map(_square, [2, 2, 2])) == [(0, 4), (1, 4), (2, 4)]

    def test_exception_of_a_job_reaches_the_caller(self, make: Callable[[], Executor]) -> None:
        with pytest.raises(ValueError, match="job 1 is bad"):
            list(make().map(_fail_at_one, [0, 1]))

    def test_is_usable_again_after_a_failure(self, make: Callable[[], Executor]) -> None:
        executor = make()
        with pytest.raises(ValueError):
            list(executor.map(_fail_at_one, [1]))
        assert list(executor.map(_square, [5])) == [(0, 25)]


def _square(job: int) -> int:
    return job * job


def _fail_at_one(job: Any) -> Any:
    if job == 1:
        raise ValueError("job 1 is bad")
    return job
