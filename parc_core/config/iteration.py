"""The iteration file: what one run of PARC is made of, stage by stage."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

import attrs

from parc_core.config.fields import Use, setting

__all__ = [
    "PER_ITERATION",
    "STAGES",
    "Changes",
    "IterationConfig",
    "KinGenConfig",
    "PhysRecordConfig",
    "TrainGenConfig",
    "TrainTrackerConfig",
]

STAGES = ("train_gen", "kin_gen", "train_tracker", "phys_record")
PER_ITERATION = (  # keys that may change between iterations; the others identify the run
    *STAGES, "balance", "class_weights", "recorded_share", "executor", "metrics",
)  # fmt: skip
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_MAX_JOBS = 10_000  # of a run: planning it, and looking at what is done, takes a step for each
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
        help="Clips to train on instead of the iteration's data set: a motion list (.yaml), a run, an iteration, a "
        "stage, or a folder of clips.",
    )
    processes: int = setting(
        1,
        ge=1,
        le=1024,
        help="Number of processes that train the generator together, each on its own GPU, or all on the CPU. Each "
        "batch is divided among them, which leaves the result unchanged up to rounding.",
    )


@attrs.frozen(kw_only=True)
class KinGenConfig:
    """Stage 2: generate motions on new terrain, select the best candidates and refine them."""

    batches: int = setting(
        1,
        ge=1,
        le=10_000,
        help="Number of batches. Batches are independent and can run on separate machines.",
    )
    motions_per_batch: int = setting(
        8, ge=1, le=100000, help="Number of motions that each batch makes, each on its own terrain."
    )
    candidates: int = setting(
        32, ge=1, le=100000, help="Number of candidate motions that the generator samples for each path."
    )
    keep: int = setting(
        1, ge=1, le=100000, help="Maximum number of clips kept per motion, the best candidates first."
    )
    max_tries_per_motion: int = setting(
        10,
        ge=1,
        le=1_000_000,
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
    executor: Use | None = setting(
        None, kind="executor", help="The executor of the batches. null takes the run's."
    )
    save_name: str = setting("motions", help="Prefix of the clips' names: <save_name>_<motion>_<rank>.")
    motion_id_offset: int = setting(
        0,
        ge=0,
        le=1_000_000_000_000,
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
        help="Motions to train on instead of the iteration's data set and generated motions: a motion list (.yaml), a "
        "run, an iteration, a stage, or a folder of clips.",
    )
    processes: int = setting(
        1,
        ge=1,
        le=1024,
        help="Number of processes that train the tracker together, each on its own GPU, or all on the CPU. Each has an "
        "equal part of the simulator's environments and of every mini-batch.",
    )
    input_weight: float = setting(
        1.0, ge=0, le=1e9, help="Relative sampling weight of the data set's motions during training."
    )
    generated_weight: float = setting(
        1.0, ge=0, le=1e9, help="Relative sampling weight of the newly generated motions during training."
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
        help="Motions to record instead of those that `record` names: a motion list (.yaml), a run, an iteration, a "
        "stage, or a folder of clips.",
    )
    policy: str | None = setting(
        None,
        path=True,
        help="Trained policy to use instead of the iteration's: a run, an iteration, a stage, or the folder of the "
        "policy.",
    )
    chunk: int = setting(
        256,
        ge=1,
        le=100000,
        unit="motions",
        help="Number of motions recorded in parallel; it bounds the memory needed. Chunks are independent and can run "
        "in several processes or on separate machines.",
    )
    executor: Use | None = setting(
        None, kind="executor", help="The executor of the chunks. null takes the run's."
    )

    def __attrs_post_init__(self) -> None:
        if not self.record or len(set(self.record)) != len(self.record):
            raise ValueError(
                f"record is {list(self.record)}, expected 'generated', 'inputs' or both, each once"
            )


@attrs.frozen(kw_only=True)
class Changes:
    """What changes at an iteration, in two forms: as it is written to files, and as it is used."""

    written: Mapping[str, Any]  # the keys that the file gives, as nested mappings; values as they were read
    values: Mapping[str, Any]  # the value of every key in `PER_ITERATION` from this iteration on


@attrs.frozen(kw_only=True)
class IterationConfig:
    """A whole run: data set, four stages, output folder, and what changes between iterations.

    Its own stages are those of the first iteration; `at` gives the settings of any.
    """

    parc: Literal[1] = setting(help="Version of the iteration file format.")
    name: str = setting(help="Name of the run. Its folder is <output>/<name>.")
    seed: int = setting(0, ge=0, le=2**63 - 1, help="Seed of all random numbers in the run.")
    device: str = setting(
        "auto",
        help="Device of the networks and of simulators that support it: auto, cpu, cuda or cuda:N. "
        "auto uses a GPU if there is one; a named device that is missing is an error.",
    )
    threads: int = setting(0, ge=0, le=4096, help="Number of simulator threads. 0 uses one per CPU core.")
    torch_threads: int = setting(
        1,
        ge=1,
        le=4096,
        help="Number of PyTorch threads. More than 1 is faster only on a machine without other load.",
    )
    iterations: int = setting(
        1,
        ge=1,
        le=100,
        help="Number of passes through the four stages. Each adds its recorded motions to the data set of the next.",
    )
    output: str = setting("runs", help="Folder for runs, relative to the current directory.")
    character: str = setting(
        "humanoid", help="The simulated character: the name of a built-in one, or an MJCF file."
    )
    dataset: tuple[Use, ...] = setting(
        kind="motion_source",
        help="Sources of the initial motions: providers, folders of clips, or motion lists (.yaml). The weight of a "
        "source multiplies the sampling weights of its clips.",
    )
    balance: Literal["class", "clip", "length"] = setting(
        "class",
        help="How clips of the data set are sampled. class: every class equally often, and inside a class in "
        "proportion to length. clip: every clip equally often. length: in proportion to length. Weights of sources and "
        "of motion lists multiply this; with clip, clips are sampled by those weights alone.",
    )
    class_weights: dict[str, float] = setting(
        factory=dict,
        ge=0,
        le=1e9,
        help="Factors of the sampling weights of classes, for example {climb: 2.0}; 1 for classes that are not named.",
    )
    recorded_share: float | Literal["published"] | None = setting(
        None,
        ge=0,
        le=1,
        help="Share of the sampling weights that goes to recorded clips, 0..1. If left out, recorded clips count like "
        "any other of their class. published: every folder of fifty recorded clips counts as a class, as in the "
        "published data-set creation.",
    )
    train_gen: TrainGenConfig = setting(factory=TrainGenConfig, help="Stage 1: train the motion generator.")
    kin_gen: KinGenConfig = setting(factory=KinGenConfig, help="Stage 2: generate motions on new terrain.")
    train_tracker: TrainTrackerConfig = setting(
        factory=TrainTrackerConfig, help="Stage 3: train the tracking controller."
    )
    phys_record: PhysRecordConfig = setting(
        factory=PhysRecordConfig, help="Stage 4: record the tracked motions in the simulator."
    )
    executor: Use = setting(
        Use("local"),
        kind="executor",
        help="The executor that carries out batches of kin_gen and chunks of phys_record, here or on other machines.",
    )
    metrics: tuple[Use, ...] = setting(
        (Use("jsonl"),), kind="metric_sink", help="Sinks that receive every metric of the run."
    )
    from_: Mapping[int, Changes] = setting(
        factory=dict,
        key="from",
        help="Settings that change between iterations: the number of an iteration (2 or higher), and under it what is "
        "different from that iteration on. Stages, weights, executor and metrics can change.",
    )

    def __attrs_post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(
                f"name is '{self.name}', expected letters, digits, '.', '_' and '-' (it becomes a folder)"
            )
        if not self.output or not self.output.isprintable():
            raise ValueError(f"output is {self.output!r:.60}, which is not the name of a folder")
        if not _DEVICE.fullmatch(self.device):
            raise ValueError(f"device is '{self.device}', expected auto, cpu, cuda or cuda:N")
        if not self.dataset:
            raise ValueError("dataset: the list is empty, expected at least one motion source")
        if sum(use.weight for use in self.dataset) <= 0:
            raise ValueError("dataset: all weights are 0, expected one above 0")
        if self.iterations * self.kin_gen.batches > _MAX_JOBS:
            raise ValueError(
                f"iterations {self.iterations:,} and kin_gen.batches {self.kin_gen.batches:,} make more than "
                f"{_MAX_JOBS:,} batches. Lower one of them; kin_gen.motions_per_batch makes batches larger"
            )
        if self.recorded_share == "published" and self.balance != "class":
            raise ValueError(
                f"recorded_share is published, which is about classes, but balance is {self.balance}. Set "
                "balance: class, or give recorded_share as a number"
            )

    def at(self, iteration: int) -> IterationConfig:
        """The settings of one iteration, counted from 1, without `from`."""
        if not self.from_:
            return self
        begun = [number for number in self.from_ if number <= iteration]
        return attrs.evolve(self, from_={}, **(self.from_[max(begun)].values if begun else {}))
