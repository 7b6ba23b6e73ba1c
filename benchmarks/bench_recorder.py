"""Memory and time of recording many motions: stage 4 as a run does it, on synthetic clips with a terrain each.

The motions stand, glide and swing their arms for 0.6 to 6 s; agent `zero` does not keep them on their feet, and nothing
ends a try early, so that every one of them is simulated, measured and written to its end.

    python benchmarks/bench_recorder.py --motions 3000
"""

from __future__ import annotations

import argparse
import json
import pathlib
import resource
import tempfile
import time

import attrs
import numpy as np
import torch

from parc_core.config import IterationConfig, load_settings
from parc_core.interfaces import RunFolder
from parc_core.plugins import Registry
from parc_core.stages import phys_record
from parc_core.stages.context import RunContext
from parc_core.stages.job import Job
from parc_core.stages.manifests import balance, entries_of
from parc_motion.clips import MotionDataset, save_clip
from parc_motion.skeletons import load_skeleton
from parc_testing.builders import make_clip, make_terrain

_RUN = """
parc: 1
name: bench
dataset: [{use: procedural}]
train_tracker:
  env:
    use: deepmimic
    preset: cpu
    termination: {terms: {root: null, body: null, fall: null}}
  simulator: {use: mujoco}
  agent: {use: zero}
phys_record:
  record: [inputs]
  chunk: %d
  recorder:
    use: retry
    start_fractions: [0.0]
    min_remaining_s: 0.1
    quality: {max_root_pos: null, max_root_rot: null, max_body_pos: null, max_root_step: null, max_speed: null,
      max_body_speed: null, max_penetration: null, terrain_margin: null, min_contact_match: null}
"""


@attrs.define
class Watch:
    """Follows the run: memory at every report, the most of it per chunk."""

    chunk: int
    peaks: dict[int, float] = attrs.field(factory=dict)  # MiB
    note: str = ""

    def message(self, stage: str, text: str) -> None:
        """Nothing to do."""

    def update(self, stage: str, done: float, total: float, note: str) -> None:
        """A chunk's work is told when it begins and when it has ended."""
        number = max(0, int(done) - 1) // self.chunk
        self.peaks[number] = max(self.peaks.get(number, 0.0), _resident_mb())
        self.note = note


def main() -> None:
    """Make the motions, record them, print one table or one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--motions", type=int, default=3000)
    parser.add_argument("--chunk", type=int, default=256)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        result = _measure(pathlib.Path(folder), options.motions, options.chunk)
    if options.json:
        print(json.dumps(result, indent=1))
        return
    for name, value in result.items():
        print(f"{name:28s} {value}")


def _measure(folder: pathlib.Path, motions: int, chunk: int) -> dict[str, object]:
    dataset = _dataset(folder, motions)
    registry, watch = Registry.discover(), Watch(chunk)
    config, _ = load_settings(_RUN % chunk, "bench", IterationConfig, registry)
    run = RunContext(
        config=config, registry=registry, skeleton=load_skeleton("humanoid"), run_folder=RunFolder(folder / "run"),
        iteration=1, device="cpu", threads=1, torch_threads=1, reporter=watch, should_stop=lambda: False,
    )  # fmt: skip
    _untrained_policy(run)
    before, started = _resident_mb(), time.process_time()
    record = phys_record.run_stage(run, dataset)
    seconds = time.process_time() - started
    written = sum(path.stat().st_size for path in run.folder.path.rglob("*_dm.*"))
    frames = sum(entry.num_frames for entry in dataset.entries)
    return {
        "motions": motions,
        "frames": frames,
        "recorded": record.summary["recorded"],
        "cpu_s": round(seconds, 1),
        "cpu_ms_per_frame": round(1e3 * seconds / frames, 3),
        "resident_before_mb": round(before),
        "resident_peak_by_chunk_mb": [round(value) for _, value in sorted(watch.peaks.items())],
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "written_mb": round(written / 2**20, 1),
    }


def _dataset(folder: pathlib.Path, motions: int) -> MotionDataset:
    rng = np.random.default_rng(0)
    for m in range(motions):
        boxes = [
            ((slice(i, i + 2), slice(j, j + 2)), float(rng.uniform(-0.3, 0.4)))
            for i, j in zip(rng.integers(5, 24, 12), rng.integers(0, 14, 12))
        ]
        frames = int(rng.integers(18, 181))
        speed = float(rng.uniform(0, 1.2))
        clip = make_clip(
            frames, speed=speed, name=f"glide_{m}_0", terrain=make_terrain((26, 16), steps=boxes)
        )
        save_clip(folder / "in" / f"{m // 200}" / f"{clip.name}.npz", clip)
    return MotionDataset(entries=tuple(balance(entries_of(folder / "in", "input"))))


def _untrained_policy(run: RunContext) -> None:
    job = Job(
        stage="train_tracker",
        folder=run.folder.train_tracker,
        key_fields={},
        superseded=run.run_folder.superseded,
    )
    one = MotionDataset(entries=entries_of(run.run_folder.path.parent / "in" / "0", "input")[:1])
    env = phys_record.train_tracker.make_env(run, one, list(one), 1, "train_tracker")
    agent = run.registry.create("agent", run.config.train_tracker.agent, device="cpu")
    with job.attempt() as folder, run.stage_context("train_tracker", folder) as ctx:
        agent.train(env, ctx)
    env.close()
    job.commit({})


def _resident_mb() -> float:
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


if __name__ == "__main__":
    main()
