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

    generator: Use = setting(Use("mdm"), kind="generator", help="The motion generator to train.")
    input_model_path: str | None = setting(
        None,
        path=True,
        help="Trained generator from which the first iteration continues: a run, an iteration, a stage, or the folder "
        "of the generator. Later iterations continue from the generator of the previous one.",
    )
    dataset: str | None = setting(
        None,
        path=True,
        help="Clips to train on instead of the iteration's data set: a manifest (.yaml), a run, an iteration, a stage, "
        "or a folder of clips.",
    )
    processes: int = setting(
        1,
        ge=1,
        help="Number of processes that train the generator together, each on its own GPU, or all on the CPU. Each "
        "batch is divided among them, which leaves the result unchanged up to rounding.",
    )


@attrs.frozen(kw_only=True)
class KinGenConfig:
    """Stage 2: generate motions on new terrain, select the best candidates and refine them."""

    batches: int = setting(
        1, ge=1, help="Number of batches. Batches are independent and can run on separate machines."
    )
    motions_per_batch: int = setting(
        8, ge=1, help="Number of motions that each batch makes, each on its own terrain."
    )
    candidates: int = setting(
        32, ge=1, help="Number of candidate motions that the generator samples for each path."
    )
    keep: int = setting(1, ge=1, help="Maximum number of clips kept per motion, the best candidates first.")
    max_tries_per_motion: int = setting(
        10,
        ge=1,
        help="Maximum number of terrains and paths tried per motion. If none yields an accepted candidate, "
        "the batch continues without that motion.",
    )
    terrain: tuple[Use, ...] = setting(
        (Use("boxes"),),
        kind="terrain_source",
        help="Terrain sources. Each terrain is sampled from one of them in proportion to its weight.",
    )
    planner: Use = setting(
        Use("astar"), kind="planner", help="The planner that finds a path over each terrain."
    )
    selector: Use = setting(
        Use("heuristic"), kind="selector", help="The selector that ranks the candidates of a path."
    )
    optimizer: Use = setting(
        Use("kinopt"), kind="optimizer", help="The optimizer that refines the selected motions."
    )
    executor: Use = setting(
        Use("local"), kind="executor", help="The executor that runs the batches, here or on other machines."
    )
    save_name: str = setting("motions", help="Prefix of the clips' names: <save_name>_<motion>_<rank>.")
    motion_id_offset: int = setting(
        0,
        ge=0,
        help="Number of the first generated motion. Motions in the data set that are named in the same way, and those "
        "of earlier iterations, keep their numbers; the numbering continues after them.",
    )
    generator_path: str | None = setting(
        None,
        path=True,
        help="Trained generator to use instead of the iteration's: a run, an iteration, a stage, or the folder of the "
        "generator.",
    )
    mirror: bool = setting(False, help="Also write a left-right mirrored copy of every clip.")

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
    """Stage 3: train the tracking controller to follow the motions in a simulator."""

    env: Use = setting(
        Use("deepmimic"),
        kind="tracker_env",
        help="The imitation task: observations, reward and terminations.",
    )
    simulator: Use = setting(
        Use("mujoco"), kind="simulator", help="The physics simulator, with the number of environments."
    )
    agent: Use = setting(Use("dmppo"), kind="agent", help="The learning agent that becomes the controller.")
    in_model_file: str | None = setting(
        None,
        path=True,
        help="Trained policy from which the first iteration continues: a run, an iteration, a stage, or the folder of "
        "the policy. Later iterations continue from the policy of the previous one.",
    )
    dataset: str | None = setting(
        None,
        path=True,
        help="Motions to train on instead of the iteration's data set and generated motions: a manifest (.yaml), a "
        "run, an iteration, a stage, or a folder of clips.",
    )
    processes: int = setting(
        1,
        ge=1,
        help="Number of processes that train the tracker together, each on its own GPU, or all on the CPU. Each has an "
        "equal part of the simulator's environments and of every mini-batch.",
    )
    input_weight: float = setting(
        1.0, ge=0, help="Relative sampling weight of the data set's motions during training."
    )
    generated_weight: float = setting(
        1.0, ge=0, help="Relative sampling weight of the newly generated motions during training."
    )

    def __attrs_post_init__(self) -> None:
        if self.input_weight + self.generated_weight <= 0:
            raise ValueError("input_weight and generated_weight are both 0, expected one above 0")


@attrs.frozen(kw_only=True)
class PhysRecordConfig:
    """Stage 4: track the motions in the simulator and record those that succeed."""

    recorder: Use = setting(
        Use("retry"), kind="recorder", help="The recorder, which decides which tracked motions are kept."
    )
    record: tuple[Literal["generated", "inputs"], ...] = setting(
        ("generated",),
        help="Which motions are tracked and recorded: the newly generated ones, those of the data set, or both.",
    )
    dataset: str | None = setting(
        None,
        path=True,
        help="Motions to record instead of those that `record` names: a manifest (.yaml), a run, an iteration, a "
        "stage, or a folder of clips.",
    )
    policy: str | None = setting(
        None,
        path=True,
        help="Trained policy to use instead of the iteration's: a run, an iteration, a stage, or the folder of the "
        "policy.",
    )
    chunk: int = setting(
        256, ge=1, help="Number of motions recorded in parallel; it bounds the memory needed.", unit="motions"
    )

    def __attrs_post_init__(self) -> None:
        if not self.record or len(set(self.record)) != len(self.record):
            raise ValueError(
                f"record is {list(self.record)}, expected 'generated', 'inputs' or both, each once"
            )


@attrs.frozen(kw_only=True)
class IterationConfig:
    """A whole run: data set, four stages, and output folder."""

    parc: Literal[1] = setting(help="Version of the iteration file format.")
    name: str = setting(help="Name of the run. Its folder is <output>/<name>.")
    seed: int = setting(0, ge=0, help="Seed of all random numbers in the run.")
    device: str = setting(
        "auto",
        help="Device of the networks and of simulators that support it: auto, cpu, cuda or cuda:N. "
        "auto uses a GPU if there is one; a named device that is missing is an error.",
    )
    threads: int = setting(0, ge=0, help="Number of simulator threads. 0 uses one per CPU core.")
    torch_threads: int = setting(
        1,
        ge=1,
        help="Number of PyTorch threads. More than 1 is faster only on a machine without other load.",
    )
    iterations: int = setting(
        1,
        ge=1,
        help="Number of passes through the four stages. Each adds its recorded motions to the data set of the next.",
    )
    output: str = setting("runs", help="Folder for runs, relative to the current directory.")
    character: str = setting(
        "humanoid", help="The simulated character: the name of a built-in one, or an MJCF file."
    )
    dataset: tuple[Use, ...] = setting(
        kind="motion_source",
        help="Sources of the initial motions. Motions are sampled from each in proportion to its weight.",
    )
    train_gen: TrainGenConfig = setting(factory=TrainGenConfig, help="Stage 1: train the motion generator.")
    kin_gen: KinGenConfig = setting(factory=KinGenConfig, help="Stage 2: generate motions on new terrain.")
    train_tracker: TrainTrackerConfig = setting(
        factory=TrainTrackerConfig, help="Stage 3: train the tracking controller."
    )
    phys_record: PhysRecordConfig = setting(
        factory=PhysRecordConfig, help="Stage 4: record the tracked motions in the simulator."
    )
    metrics: tuple[Use, ...] = setting(
        (Use("jsonl"),), kind="metric_sink", help="Sinks that receive every metric of the run."
    )

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
