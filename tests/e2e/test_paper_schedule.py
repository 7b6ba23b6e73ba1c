"""The published schedule in examples/paper.yaml, every number of it divided: four iterations to the end."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
from typing import Any

import pytest
import yaml

from parc_core.config import IterationConfig, dump, load_iteration
from parc_core.interfaces import RunFolder
from parc_core.plugins import Registry
from parc_motion.clips import MotionDataset, load_clip, load_terrain
from parc_motion.storage import digest_file

pytestmark = pytest.mark.xdist_group("paper_schedule")  # one process makes the run that the tests look at
EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"
TERRAIN = EXAMPLES / "terrains" / "parkour.npz"
DIVISORS: dict[str, dict[str, float]] = {
    "dataset": {"variations": 10},
    "train_gen": {
        "epochs": 50_000,
        "epochs_per_checkpoint": 2_500,
        "iters_per_epoch": 2,
        "learning_rate": 0.01,  # few steps, so larger ones
        "batch_size": 4,
        "width": 8,
        "layers": 4,
        "heads": 4,
        "feed_forward": 8,
        "target_hidden": 32,
        "height_channels": 8,
        "max_motion_length": 15,
    },
    "kin_gen": {
        "batches": 5,
        "motions_per_batch": 50,
        "candidates": 64,
        "max_tries_per_motion": 100,
        "max_steps": 20,
    },
    "train_tracker": {
        "episode_length_s": 10,
        "num_envs": 256,
        "max_samples": 50_000_000,
        "steps_per_iter": 4,
        "batch_size": 256,
        "iters_per_output": 100,
        "iters_per_checkpoint": 100,
        "test_episodes": 8,
    },
    "phys_record": {"min_remaining_s": 4, "chunk": 32},
}
OTHER = {
    "actor_net": "mlp_16_16",
    "critic_net": "mlp_16_16",
    "height_strides": [2, 1, 1, 1],
    # after so short a training nothing that is generated gets to the end of its path; it is not rejected for that
    "max_contact": None,
    "max_penetration": None,
    "max_total": None,
}


def divided(value: Any, divisors: dict[str, float], used: set[str]) -> Any:
    """Plain settings with every number that has a divisor divided by it."""
    if isinstance(value, list):
        return [divided(one, divisors, used) for one in value]
    if not isinstance(value, dict):
        return value
    result = {}
    for key, one in value.items():
        if key in divisors:
            used.add(key)
            numbers = one if isinstance(one, list) else [one]
            parts = [_part(number, divisors[key]) for number in numbers]
            result[key] = parts if isinstance(one, list) else parts[0]
        else:
            result[key] = OTHER[key] if key in OTHER else divided(one, divisors, used)
    return result


def _part(number: float, divisor: float) -> float:
    return number / divisor if isinstance(number, float) else max(number // divisor, 1)


def example() -> IterationConfig:
    return load_iteration(EXAMPLES / "paper.yaml", (), Registry.discover()).config


def small_copy(folder: pathlib.Path) -> pathlib.Path:
    """The example with fewer and smaller everything, for a CPU."""
    plain = dump(example())
    for key, divisors in DIVISORS.items():
        used: set[str] = set()
        plain[key] = divided(plain[key], divisors, used)
        for block in plain["from"].values():
            block |= divided({key: block[key]}, divisors, used) if key in block else {}
        assert used == set(divisors), "every number that is divided is one of the example"
    file = folder / "small.yaml"
    file.write_text(yaml.safe_dump({**plain, "device": "cpu", "threads": 1}, sort_keys=False))
    return file


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> pathlib.Path:
    """The folder of the finished run."""
    folder = tmp_path_factory.mktemp("paper")
    file = small_copy(folder)
    command = [sys.executable, "-m", "parc_core.cli.main", "run", str(file)]
    command += ["--set", "train_tracker.simulator.use=mujoco"]
    result = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return folder / "runs" / "paper"


def records(run: pathlib.Path, number: int) -> list[dict[str, Any]]:
    """What the batches of an iteration were made with, in the order of their motions."""
    batches = RunFolder(run).iteration(number).batches()
    return [json.loads((batch / "DONE.json").read_text())["key_fields"] for batch in batches]


def heights(run: pathlib.Path, number: int) -> set[float]:
    """Heights of the ground under the motions that an iteration generated, in cm."""
    clips = [load_clip(file) for file in RunFolder(run).iteration(number).raw_clips()]
    return {round(100 * float(height)) for clip in clips for height in clip.terrain.height.ravel()}


def test_the_example_has_the_published_numbers():
    config = example()
    motions = [
        stage.batches * stage.motions_per_batch * stage.keep
        for stage in (config.at(number).kin_gen for number in range(1, config.iterations + 1))
    ]
    assert motions == [1000, 1000, 2000, 2000]
    assert [[use.name for use in config.at(n).kin_gen.terrain] for n in (2, 3)] == [["boxes"], ["file"]]
    agent, simulator = config.train_tracker.agent.config, config.train_tracker.simulator
    assert (simulator.name, simulator.config.num_envs, config.device) == ("mujoco_warp", 2048, "cuda")
    assert agent.batch_size == 4 * simulator.config.num_envs
    generator = config.train_gen.generator.config
    assert (generator.epochs, generator.batch_size, generator.learning_rate) == (100_000, 64, 1e-5)
    assert config.at(4).train_gen == config.train_gen and config.at(4).train_tracker == config.train_tracker


def test_the_example_is_planned_without_a_gpu_and_without_data(tmp_path):
    without = {name: value for name, value in os.environ.items() if name != "PARC_DATA"}
    command = [
        sys.executable,
        "-m",
        "parc_core.cli.main",
        "run",
        str(EXAMPLES / "paper.yaml"),
        "--dry-run",
        "--json",
    ]
    result = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, env={**without, "CUDA_VISIBLE_DEVICES": ""}
    )
    assert result.returncode == 0, result.stderr
    stages = [(row["iteration"], row["stage"]) for row in json.loads(result.stdout)["jobs"]]
    assert [stages.count((n, "kin_gen")) for n in (1, 2, 3, 4)] == [10, 10, 20, 20]
    assert not (tmp_path / "runs").exists()


def test_four_iterations_run_to_the_end(run):
    finished = [
        one.number for one in RunFolder(run).iterations() if (one.phys_record / "DONE.json").is_file()
    ]
    assert finished == [1, 2, 3, 4]


def test_twice_as_many_motions_are_generated_from_the_third_iteration_on(run):
    numbers = [[row["inputs"]["motion_ids"] for row in records(run, n)] for n in (1, 2, 3, 4)]
    assert [len(batches) for batches in numbers] == [2, 2, 4, 4]
    assert [ids for batches in numbers for ids in batches] == [[n, n + 1] for n in range(12)]
    for n in (1, 2, 3, 4):
        folder = RunFolder(run).iteration(n)
        assert len(folder.raw_clips()) == 2 * len(numbers[n - 1]), "the best two candidates of every path"
        mirrored = list(folder.kin_gen.glob("motions_*/flipped/*.npz"))
        assert len(folder.refined_clips()) == len(mirrored) == len(folder.raw_clips())


def test_motions_are_generated_on_boxes_then_on_windows_of_the_large_terrain(run):
    chosen = [[row["providers"]["terrain.0"] for row in records(run, n)] for n in (1, 2, 3, 4)]
    for one in chosen[0] + chosen[1]:
        assert (one["use"], one["settings"]["num_boxes"]) == ("parc-terrain:boxes", 10)
    window = {"path": {TERRAIN.name: digest_file(TERRAIN)}, "dim_x": 16, "dim_y": 16}
    assert chosen[2] + chosen[3] == [{"use": "parc-terrain:file", "settings": window}] * 8
    large = {round(100 * float(height)) for height in load_terrain(TERRAIN).height.ravel()}
    assert heights(run, 3) <= large and heights(run, 4) <= large
    assert not heights(run, 1) <= large and not heights(run, 2) <= large


def test_every_iteration_continues_from_the_one_before_with_what_was_recorded(run):
    before = MotionDataset.load(RunFolder(run).iteration(1).dataset)
    total = 0
    for number in (1, 2, 3, 4):
        folder = RunFolder(run).iteration(number)
        for stage in (folder.train_gen, folder.train_tracker):
            start = json.loads((stage / "DONE.json").read_text())["key_fields"]["inputs"]["start"]
            assert bool(start) == (number > 1)
        recorded = {load_clip(file).name for file in folder.recorded_clips()}
        after = MotionDataset.load(RunFolder(run).iteration(number + 1).dataset)
        assert {entry.name for entry in after.entries} == {entry.name for entry in before.entries} | recorded
        before, total = after, total + len(recorded)
    assert total > 0
