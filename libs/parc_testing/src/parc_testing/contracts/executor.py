"""What every `executor` promises."""

from __future__ import annotations

import pathlib
from collections.abc import Callable

import attrs
import pytest

from parc_core.interfaces import Executor, ExecutorContext, JobResult, JobSpec
from parc_core.plugins import Registry
from parc_core.runner.contexts import contexts, prepare
from parc_core.runner.outcome import outcome_of
from parc_core.runner.run import run_file
from parc_core.runner.transport import import_result, pack
from parc_core.stages import parts
from parc_core.stages.context import RunContext
from parc_core.stages.record import read_record
from parc_motion.clips import save_clip
from parc_motion.storage import Lease
from parc_testing.builders import make_clip
from parc_testing.quick import ITERATION_FILE

__all__ = ["ExecutorContract", "WorkersContract"]


class ExecutorContract:
    """Subclass it and give a fixture ``make`` that returns a function making a fresh executor.

    class TestMine(ExecutorContract):
        @pytest.fixture
        def make(self):
            return lambda: MyExecutor(MyConfig(workers=2))
    """

    batches = 5  # jobs of each test, at least 3; each takes no time apart from the start of its process

    @pytest.fixture
    def bench(self, tmp_path: pathlib.Path, make: Callable[[], Executor]) -> Bench:
        """A run whose batches are to be made."""
        return Bench(tmp_path, make, self.batches)

    def test_is_an_executor(self, make: Callable[[], Executor]) -> None:
        assert isinstance(make(), Executor)

    def test_no_job_gives_no_result(self, bench: Bench) -> None:
        assert bench.run([]) == {}

    def test_every_job_ends_once_with_what_one_process_would_make(self, bench: Bench) -> None:
        expected = bench.serial()
        assert bench.run() == {index: "finished" for index in range(bench.batches)}
        assert bench.digests() == expected
        assert len(expected) == bench.batches

    def test_finished_jobs_are_finished(self, bench: Bench) -> None:
        bench.run()
        before = bench.digests()
        assert set(bench.run().values()) == {"finished"}
        assert bench.digests() == before

    def test_progress_is_passed_on(self, bench: Bench) -> None:
        bench.run()
        assert {name for name, *_ in bench.updates} <= {job.name for job in bench.jobs}
        assert all(0 <= done <= total for _, done, total in bench.updates)
        assert bench.updates

    @pytest.mark.parametrize(
        ("trap", "text"), [("fail", "the trap was sprung"), ("err", "ZeroDivisionError: integer division")]
    )
    def test_job_that_fails_is_told_and_costs_no_other(self, bench: Bench, trap: str, text: str) -> None:
        bench.lay(f"{trap}-once")
        states = sorted(bench.run().values())
        assert states == ["failed", *["finished"] * (bench.batches - 1)]
        (failed,) = [result for result in bench.results.values() if result.state == "failed"]
        assert failed.error.startswith(text)
        assert failed.exit_code > 0
        assert set(bench.run().values()) == {"finished"}

    def test_job_of_another_process_is_left_to_it(self, bench: Bench) -> None:
        job = bench.jobs[1]
        assert job.ids is not None
        folder = bench.context.folder.batch("motions", job.ids[0], job.ids[1] - 1)
        with Lease(bench.context.run_folder.locks, f"{folder.parent.name}-{folder.name}"):
            states = bench.run()
        assert states[1] == "held"
        assert "works on it" in bench.results[1].error
        assert [state for index, state in states.items() if index != 1] == ["finished"] * (bench.batches - 1)
        assert set(bench.run().values()) == {"finished"}

    def test_stops_when_it_is_asked_to_and_goes_on_later(self, bench: Bench) -> None:
        expected = bench.serial()
        states = bench.run(stop_after=1)
        assert sorted(states) == list(range(bench.batches))
        assert set(states.values()) == {"finished", "stopped"}
        assert set(bench.run().values()) == {"finished"}
        assert bench.digests() == expected


class WorkersContract(ExecutorContract):
    """Of an executor whose jobs run in processes of their own: one that dies costs its job a new try, and no more."""

    @pytest.mark.parametrize("trap", ["kill", "exit"])
    def test_worker_that_dies_costs_nothing_but_time(self, bench: Bench, trap: str) -> None:
        expected = bench.serial()
        bench.lay(f"{trap}-once")
        assert set(bench.run().values()) == {"finished"}
        assert bench.digests() == expected

    def test_job_that_always_kills_its_worker_is_lost_in_the_end(self, bench: Bench) -> None:
        bench.lay("kill")
        assert bench.run(bench.jobs[:1]) == {0: "lost"}
        assert bench.results[0].error
        bench.lift("kill")
        assert set(bench.run().values()) == {"finished"}


class Bench:
    """A run of quick providers whose generator is trained and whose batches are to be made."""

    def __init__(self, folder: pathlib.Path, make: Callable[[], Executor], batches: int) -> None:
        self.folder, self.make, self.batches = folder, make, batches
        self.updates: list[tuple[str, float, float]] = []
        self.messages: list[str] = []
        self.results: dict[int, JobResult] = {}
        (folder / "clips").mkdir()
        (folder / "trap").mkdir()
        save_clip(folder / "clips" / "walk.npz", make_clip(40, name="walk", speed=1.0, motion_class="walk"))
        self.context = self._begun("quick")
        self.jobs = parts.batches(self.context)

    def run(self, jobs: list[JobSpec] | None = None, stop_after: int = 10**9) -> dict[int, str]:
        """State of each job by its index."""
        self.results = {}
        ctx = ExecutorContext(
            run_here=self._run_here,
            update=lambda job, done, total, note: self.updates.append((job.name, done, total)),
            message=self.messages.append,
            should_stop=lambda: len(self.results) >= stop_after,
            pack=lambda job: pack(self.context, job.stage, job.part or 0),
            unpack=self._unpack,
            threads=2,
        )
        for index, result in self.make().run(self.jobs if jobs is None else jobs, ctx):
            assert index not in self.results, "a job ended twice"
            self.results[index] = result
        return {index: result.state for index, result in sorted(self.results.items())}

    def _run_here(self, job: JobSpec) -> JobResult:
        run = attrs.evolve(self.context, reporter=_Noting(self.updates, job.name))
        return outcome_of(lambda: parts.run_job(run, job), job.name)

    def _unpack(self, result: bytes) -> None:
        import_result(self.context.run_folder.path, result)

    def serial(self) -> dict[str, str]:
        """Digests of what one process makes, in a run of its own."""
        run = self._begun("serial")
        for job in parts.batches(run):
            parts.run_job(run, job)
        return _digests(run)

    def digests(self) -> dict[str, str]:
        """Digests of what the executor made."""
        return _digests(self.context)

    def lay(self, what: str) -> None:
        """Whoever generates next steps into this trap."""
        (self.folder / "trap" / what).touch()

    def lift(self, what: str) -> None:
        """Take a trap away."""
        (self.folder / "trap" / what).unlink()

    def _begun(self, name: str) -> RunContext:
        text = ITERATION_FILE.replace(
            '{use: "parc_testing.quick:QuickGenerator"}',
            f'{{use: "parc_testing.quick:TrappedGenerator", trap: "{self.folder}/trap"}}',
        )
        file = self.folder / f"{name}.yaml"
        file.write_text(text.replace("./clips", f"{self.folder}/clips"))
        settings = (f"name={name}", f"output={self.folder}", "device=cpu", f"kin_gen.batches={self.batches}")
        run_file(file, overrides=settings, only="train_gen", reporter=_Quiet())
        registry = Registry.discover()
        config, folder = prepare(self.folder / name, (), registry)
        return attrs.evolve(contexts(config, registry, folder, _Quiet())[0], device="cpu")


class _Quiet:
    def message(self, stage: str, text: str) -> None:
        pass

    def update(self, stage: str, done: float, total: float, note: str) -> None:
        pass


@attrs.frozen
class _Noting:
    updates: list[tuple[str, float, float]]
    name: str

    def message(self, stage: str, text: str) -> None:
        pass

    def update(self, stage: str, done: float, total: float, note: str) -> None:
        self.updates.append((self.name, done, total))


def _digests(run: RunContext) -> dict[str, str]:
    found = {}
    for batch in run.folder.batches():
        record = read_record(batch)
        if record is not None:
            found[batch.name] = record.digest
    return found
