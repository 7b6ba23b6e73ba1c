"""The iteration file: what one run of PARC is made of, stage by stage."""

from __future__ import annotations

import re
from typing import Literal

import attrs

from parc_core.config.fields import Use, setting

__all__ = [
    "STAGES",
    "IterationConfig",
    "KinGenConfig",
    "PhysRecordConfig",
    "TrainGenConfig",
    "TrainTrackerConfig",
]

STAGES = ("train_gen", "kin_gen", "train_tracker", "phys_record")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_DEVICE = re.compile(r"auto|cpu|cuda(:[0-9]+)?")


@attrs.frozen(kw_only=True)
class TrainGenConfig:
    """Stage 1: train the motion generator on the data set."""

    generator: Use = setting(Use("mdm"), kind="generator", help="the motion generator")
    input_model_path: str | None = setting(
        None,
        path=True,
        help="folder of a trained generator to continue from; a later iteration continues from the one before",
    )


@attrs.frozen(kw_only=True)
class KinGenConfig:
    """Stage 2: generate motions on new terrain, choose, refine."""

    batches: int = setting(1, ge=1, help="batches; each can run on a machine of its own")
    motions_per_batch: int = setting(8, ge=1, help="clips that each batch has to make")
    candidates: int = setting(32, ge=1, help="candidates that the generator proposes per path")
    keep: int = setting(1, ge=1, help="clips kept per terrain and path, the best first")
    max_tries_per_motion: int = setting(
        10, ge=1, help="terrains and paths tried per wanted clip before a batch gives up"
    )
    terrain: tuple[Use, ...] = setting(
        (Use("boxes"),), kind="terrain_source", help="where terrains come from, each with its share"
    )
    planner: Use = setting(Use("astar"), kind="planner", help="finds a path over a terrain")
    selector: Use = setting(Use("heuristic"), kind="selector", help="chooses among the candidates")
    optimizer: Use = setting(Use("kinopt"), kind="optimizer", help="refines what was chosen")
    executor: Use = setting(Use("local"), kind="executor", help="runs the batches")
    save_name: str = setting("motions", help="clips are called <save_name>_<number>")
    mirror: bool = setting(False, help="write a mirrored copy of every clip too")

    def __attrs_post_init__(self) -> None:
        if not self.terrain:
            raise ValueError("terrain: the list is empty, expected at least one terrain source")
        if sum(use.weight for use in self.terrain) <= 0:
            raise ValueError("terrain: all weights are 0, expected one above 0")
        if self.keep > self.candidates:
            raise ValueError(
                f"keep is {self.keep}, but there are only {self.candidates} candidates per path. Lower keep"
            )
        if not _NAME.fullmatch(self.save_name):
            raise ValueError(f"save_name is '{self.save_name}', expected letters, digits, '.', '_' and '-'")


@attrs.frozen(kw_only=True)
class TrainTrackerConfig:
    """Stage 3: train the tracker to follow the motions in a simulator."""

    env: Use = setting(Use("deepmimic"), kind="tracker_env", help="the imitation task")
    simulator: Use = setting(
        Use("mujoco"), kind="simulator", help="the physics, with the number of environments"
    )
    agent: Use = setting(Use("dmppo"), kind="agent", help="the controller that learns")
    in_model_file: str | None = setting(
        None,
        path=True,
        help="folder of a trained policy to continue from; a later iteration continues from the one before",
    )
    input_weight: float = setting(1.0, ge=0, help="share of the data set's motions in training")
    generated_weight: float = setting(1.0, ge=0, help="share of the newly generated motions in training")

    def __attrs_post_init__(self) -> None:
        if self.input_weight + self.generated_weight <= 0:
            raise ValueError("input_weight and generated_weight are both 0, expected one above 0")


@attrs.frozen(kw_only=True)
class PhysRecordConfig:
    """Stage 4: follow the motions in the simulator and keep what succeeded."""

    recorder: Use = setting(Use("retry"), kind="recorder", help="decides what counts as followed")
    record: tuple[Literal["generated", "inputs"], ...] = setting(
        ("generated",), help="which motions are followed"
    )
    chunk: int = setting(
        256, ge=1, help="motions recorded side by side; memory is held for these alone", unit="motions"
    )

    def __attrs_post_init__(self) -> None:
        if not self.record or len(set(self.record)) != len(self.record):
            raise ValueError(
                f"record is {list(self.record)}, expected 'generated', 'inputs' or both, each once"
            )


@attrs.frozen(kw_only=True)
class IterationConfig:
    """A whole run: data set, four stages, and where it is written."""

    parc: Literal[1] = setting(help="version of the file format")
    name: str = setting(help="name of the run; its folder is <output>/<name>")
    seed: int = setting(0, ge=0, help="decides every random choice of the run")
    device: str = setting(
        "auto", help="auto, cpu, cuda or cuda:N; a named device that is missing is an error"
    )
    threads: int = setting(0, ge=0, help="simulator threads; 0 means every core that this process may use")
    torch_threads: int = setting(
        1, ge=1, help="threads of the networks; more than 1 pays only on a machine that nobody else uses"
    )
    iterations: int = setting(1, ge=1, help="passes of the loop; each adds what was recorded to the data set")
    output: str = setting("runs", help="folder of runs, from the current directory")
    character: str = setting("humanoid", help="the character")
    dataset: tuple[Use, ...] = setting(
        kind="motion_source", help="where the first motions come from, each with its share"
    )
    train_gen: TrainGenConfig = setting(factory=TrainGenConfig, help="stage 1: train the generator")
    kin_gen: KinGenConfig = setting(factory=KinGenConfig, help="stage 2: generate motions")
    train_tracker: TrainTrackerConfig = setting(factory=TrainTrackerConfig, help="stage 3: train the tracker")
    phys_record: PhysRecordConfig = setting(factory=PhysRecordConfig, help="stage 4: record in physics")
    metrics: tuple[Use, ...] = setting((Use("jsonl"),), kind="metric_sink", help="where numbers are kept")

    def __attrs_post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(
                f"name is '{self.name}', expected letters, digits, '.', '_' and '-' (it becomes a folder)"
            )
        if not _DEVICE.fullmatch(self.device):
            raise ValueError(f"device is '{self.device}', expected auto, cpu, cuda or cuda:N")
        if not self.dataset:
            raise ValueError("dataset: the list is empty, expected at least one motion source")
        if sum(use.weight for use in self.dataset) <= 0:
            raise ValueError("dataset: all weights are 0, expected one above 0")
