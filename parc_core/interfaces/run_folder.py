"""Names inside a run folder: stages, runner, reports and plugins ask here where things lie."""

from __future__ import annotations

import pathlib
import re

import attrs

from parc_core.paths import is_file

__all__ = ["STAGE_FOLDERS", "IterationFolder", "RunFolder"]

STAGE_FOLDERS = {  # stage -> its folder in an iteration
    "train_gen": "p1_train_gen",
    "kin_gen": "p2_kin_gen",
    "train_tracker": "p3_tracker",
    "phys_record": "p4_phys_record",
}
_ITERATION = re.compile(r"iter_(\d{3,})")
_BATCH = re.compile(r"(.+)_(\d+)_(\d+)")


@attrs.frozen
class IterationFolder:
    """The folder of one iteration, ``iter_001``; what it holds exists once its stage has finished."""

    path: pathlib.Path

    @property
    def number(self) -> int:
        """The iteration, counted from 1."""
        return int(self.path.name.removeprefix("iter_"))

    @property
    def dataset(self) -> pathlib.Path:
        """Manifest of the data set that the iteration learns from."""
        return self.path / "dataset.yaml"

    @property
    def metrics(self) -> pathlib.Path:
        """Means of the clips' metrics, so that a report does not open every clip again."""
        return self.path / "metrics.json"

    @property
    def train_gen(self) -> pathlib.Path:
        """Folder of stage `train_gen`."""
        return self.path / STAGE_FOLDERS["train_gen"]

    @property
    def generator(self) -> pathlib.Path:
        """The trained generator, for `Generator.restore`."""
        return self.train_gen / "final_model"

    @property
    def kin_gen(self) -> pathlib.Path:
        """Folder of stage `kin_gen`, which holds one folder per batch."""
        return self.path / STAGE_FOLDERS["kin_gen"]

    def batch(self, save_name: str, first: int, last: int) -> pathlib.Path:
        """Folder of the batch that makes the motions with numbers `first` to `last`."""
        return self.kin_gen / f"{save_name}_{first}_{last}"

    def batches(self) -> list[pathlib.Path]:
        """Folders of the batches that are there, by the number of their last motion."""
        found = [(_BATCH.fullmatch(path.name), path) for path in self.kin_gen.glob("*_*") if path.is_dir()]
        named = [(int(match[3]), path.name, path) for match, path in found if match]
        return [path for *_, path in sorted(named)]

    def raw(self, batch: pathlib.Path) -> pathlib.Path:
        """Clips of a batch as the generator proposed them, before refinement."""
        return self.kin_gen / "ignore" / "raw" / batch.name

    @property
    def train_tracker(self) -> pathlib.Path:
        """Folder of stage `train_tracker`."""
        return self.path / STAGE_FOLDERS["train_tracker"]

    @property
    def tracker_motions(self) -> pathlib.Path:
        """Manifest of the motions that the tracker learned from."""
        return self.train_tracker / "motions.yaml"

    @property
    def policy(self) -> pathlib.Path:
        """The trained policy, for `Policy.load`."""
        return self.train_tracker / "policy"

    @property
    def env_settings(self) -> pathlib.Path:
        """Settings of the environment and the simulator that the policy was trained in."""
        return self.train_tracker / "env.yaml"

    @property
    def evaluation(self) -> pathlib.Path:
        """How well the policy follows each of its motions."""
        return self.train_tracker / "evaluation.json"

    @property
    def phys_record(self) -> pathlib.Path:
        """Folder of stage `phys_record`."""
        return self.path / STAGE_FOLDERS["phys_record"]

    @property
    def recorded_motions(self) -> pathlib.Path:
        """The recorded clips, in folders of fifty."""
        return self.phys_record / "recorded_motions"

    @property
    def record_report(self) -> pathlib.Path:
        """What became of every motion."""
        return self.phys_record / "report.json"

    def raw_clips(self) -> list[pathlib.Path]:
        """Files of the generated clips before refinement, of every batch."""
        return sorted((self.kin_gen / "ignore" / "raw").glob("*/*.npz"))

    def refined_clips(self) -> list[pathlib.Path]:
        """Files of the generated clips after refinement, of every batch; mirrored copies left out."""
        return sorted(file for batch in self.batches() for file in batch.glob("*.npz"))

    def recorded_clips(self) -> list[pathlib.Path]:
        """Files of the recorded clips."""
        return sorted(self.recorded_motions.rglob("*.npz"))


@attrs.frozen
class RunFolder:
    """The folder of a run.

    >>> run = RunFolder(pathlib.Path("runs/demo"))
    >>> run.iteration(1).policy
    PosixPath('runs/demo/iter_001/p3_tracker/policy')
    """

    path: pathlib.Path

    @property
    def exists(self) -> bool:
        """Whether a run lies here: its resolved configuration does."""
        return is_file(self.config)

    @property
    def config(self) -> pathlib.Path:
        """The iteration file with every value explicit."""
        return self.path / "config.yaml"

    @property
    def manifest(self) -> pathlib.Path:
        """Machines and versions, with the jobs that each of them made."""
        return self.path / "manifest.json"

    @property
    def events(self) -> pathlib.Path:
        """One line of JSON per event."""
        return self.path / "events.jsonl"

    @property
    def log(self) -> pathlib.Path:
        """The log of everything."""
        return self.path / "log.txt"

    @property
    def logs(self) -> pathlib.Path:
        """Logs of single stages, and of jobs that a scheduler started."""
        return self.path / "logs"

    def stage_log(self, stage: str, iteration: int, part: int | None = None) -> pathlib.Path:
        """The log of a stage, or of a single batch or chunk of it that a scheduler started.

        >>> RunFolder(pathlib.Path("runs/demo")).stage_log("kin_gen", iteration=1, part=3)
        PosixPath('runs/demo/logs/iter_001-p2_kin_gen-3.txt')

        The motion sources are imported once for all iterations: stage `inputs` has the log ``inputs.txt``.
        """
        if stage not in STAGE_FOLDERS:
            return self.logs / f"{stage}.txt"
        name = f"{self.iteration(iteration).path.name}-{STAGE_FOLDERS[stage]}"
        return self.logs / (f"{name}.txt" if part is None else f"{name}-{part}.txt")

    @property
    def report(self) -> pathlib.Path:
        """The report of the latest start."""
        return self.path / "report.json"

    @property
    def dumps(self) -> pathlib.Path:
        """The last steps of simulations that diverged, for `parc debug`; the newest few are kept."""
        return self.path / "dumps"

    @property
    def superseded(self) -> pathlib.Path:
        """Where results that were made with other settings are kept."""
        return self.path / "superseded"

    @property
    def source_digests(self) -> pathlib.Path:
        """SHA-256 of the files of the motion sources, so that a start need not read them; made again if missing."""
        return self.path / "source_digests.json"

    @property
    def cache(self) -> pathlib.Path:
        """What can be computed again, e.g. packed clips; may be deleted at any time."""
        return self.path / "cache"

    @property
    def locks(self) -> pathlib.Path:
        """Locks of the jobs that are being worked on, and of the processes that work here."""
        return self.path / "locks"

    def name_of(self, path: pathlib.Path) -> str:
        """The name of a file or folder from the run folder, so that it stays right when the run is moved; of others
        their path.

        >>> RunFolder(pathlib.Path("runs/demo")).name_of(pathlib.Path("runs/demo/iter_001/p3_tracker/policy"))
        'iter_001/p3_tracker/policy'
        """
        inside = path.is_relative_to(self.path)
        return path.relative_to(self.path).as_posix() if inside else str(path)

    def inputs(self, number: int, source: str) -> pathlib.Path:
        """Clips of the motion source with this place and name in `dataset`."""
        return self.path / "inputs" / f"{number:02d}_{re.sub(r'[^A-Za-z0-9_.-]', '_', source)}"

    def input_folders(self) -> list[pathlib.Path]:
        """The folders of the motion sources that are there, in order."""
        return sorted((self.path / "inputs").glob("*"))

    def iteration(self, number: int) -> IterationFolder:
        """The folder of an iteration, counted from 1; it need not exist."""
        return IterationFolder(self.path / f"iter_{number:03d}")

    def iterations(self) -> list[IterationFolder]:
        """The iterations that are there, in order."""
        found = [
            path for path in self.path.glob("iter_*") if path.is_dir() and _ITERATION.fullmatch(path.name)
        ]
        return sorted((IterationFolder(path) for path in found), key=lambda iteration: iteration.number)
