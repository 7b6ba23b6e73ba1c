"""Data sets: windows from the packed store, opening many clips, preprocessing, mirroring, validating, reading BVH.

Run: ``python benchmarks/bench_data.py [--repeat 20] [--json]``.
"""

from __future__ import annotations

import pathlib
import statistics
import tempfile
import time
from collections.abc import Callable

import attrs
import numpy as np
import torch
from measure import Figure, arguments, cpu_ms, report

from parc_data.formats.bvh import read
from parc_data.formats.format import ReadOptions
from parc_data.resample import resample
from parc_data.tools.findings import ValidateConfig
from parc_data.tools.preprocess import Preprocessor
from parc_data.tools.validate import Validator
from parc_deepmimic.reference import MotionLibrary
from parc_mdm.store import MotionStore
from parc_motion.clips import (
    DatasetEntry,
    MotionDataset,
    PackedClips,
    cached_clips,
    mirror_clip,
    save_clip,
    write_packed_clips,
)
from parc_motion.skeletons import load_skeleton
from parc_motion.storage import digest_file
from parc_motion.terrains import Terrain
from parc_testing.builders import make_clip, make_terrain
from parc_testing.contracts.generator import tiny_dataset

CLIPS, FRAMES, WINDOW = 2000, 60, 30
SKELETON = load_skeleton("humanoid")
SHAPES = (
    (142, (18, 15)),
    (142, (18, 15)),
    (254, (50, 50)),
    (58, (102, 102)),
)  # the published samples: 596 frames


def main() -> None:
    """Print one table."""
    options = arguments(__doc__, repeat=20)
    torch.set_num_threads(1)
    figures = [*_store(options.repeat), *_tools(options.repeat), *_starts(), *_reading()]
    report(figures, options.json)


def _store(repeat: int) -> list[Figure]:
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        dataset = _dataset(folder)
        start = time.process_time()
        write_packed_clips(folder / "store", dataset)
        packing = CLIPS / (time.process_time() - start)
        store = PackedClips.load(folder / "store")
        note = f"{CLIPS} clips of {FRAMES} frames"
        return [
            Figure(
                name="windows_per_s",
                value=_rate(_one_by_one, store, repeat),
                unit="1/s CPU",
                note="one by one",
            ),
            Figure(
                name="windows_per_s_batched",
                value=_rate(_batches, store, repeat),
                unit="1/s CPU",
                note="512 at once",
            ),
            _seconds(
                "open_2000_clips_s", lambda _: PackedClips.load(folder / "store"), repeat, "SHA-256 checked"
            ),
            _seconds(
                "open_2000_manifest_s", lambda _: MotionDataset.load(folder / "dataset.yaml"), repeat, note
            ),
            Figure(name="pack_clips_per_s", value=packing, unit="1/s CPU", note=note),
        ]


def _starts() -> list[Figure]:
    """What a training does before it begins with 2,000 clips of 10 s: the first time, and when it is started again."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        clips = [make_clip(300, speed=0.1, name=f"clip_{k}", terrain=_ground((30, 30))) for k in range(CLIPS)]
        dataset = tiny_dataset(folder / "clips", clips)
        del clips

        def generator() -> None:
            packed = cached_clips(dataset, folder / "cache")
            MotionStore.cached(packed, np.arange(CLIPS), SKELETON, WINDOW, mirror=True, device="cpu")

        def tracker() -> None:
            MotionLibrary(cached_clips(dataset, folder / "cache"), SKELETON)

        figures = []
        for what, begin in (("generator", generator), ("tracker", tracker)):
            for order in ("first", "second"):
                start = time.process_time()
                begin()
                seconds = time.process_time() - start
                note = "2,000 clips of 300 frames" + (", mirrored" if what == "generator" else "")
                figures.append(Figure(name=f"{what}_{order}_start", value=seconds, unit="s CPU", note=note))
        return figures


def _tools(repeat: int) -> list[Figure]:
    skeleton = SKELETON
    samples = [make_clip(frames, speed=1.0, terrain=_ground(shape)) for frames, shape in SHAPES]
    prepare, validator = Preprocessor(skeleton), Validator(skeleton, ValidateConfig())
    hundred = [attrs.evolve(samples[0], name=f"clip {i}") for i in range(100)]
    groups = [hundred[i : i + 14] for i in range(0, 100, 14)]
    return [
        cpu_ms("preprocess_596", lambda _: [prepare(clip) for clip in samples], repeat, published=2760.0),
        cpu_ms("mirror_142", lambda _: mirror_clip(samples[0], skeleton), repeat, published=346.0),
        cpu_ms(
            "validate_100",
            lambda _: [validator.check(group) for group in groups],
            min(repeat, 3),
            note="142 frames each",
        ),
    ]


def _reading() -> list[Figure]:
    """A BVH of 100,000 frames at 120 Hz and 31 joints, as large as a CMU subject; parsed, then brought to 30 Hz."""
    with tempfile.TemporaryDirectory() as name:
        path = pathlib.Path(name) / "long.bvh"
        path.write_text(_long_bvh(100_000, 31))
        times = []
        for _ in range(3):
            start = time.process_time()
            (motion,) = read(path, ReadOptions(scale=0.01, up="y"))
            parsed = time.process_time()
            resample(motion, 30.0)
            times.append((time.process_time() - start, parsed - start))
    total, parsing = sorted(times)[1]
    note = f"of it parsing {parsing:.2f} s; {path.name}: 31 joints, 96 channels"
    return [Figure(name="bvh_100k", value=total, unit="s CPU", note=note)]


def _long_bvh(frames: int, joints: int) -> str:
    """A chain of joints that swing slowly."""
    lines, turns = ["HIERARCHY"], "CHANNELS 3 Zrotation Yrotation Xrotation"
    for joint in range(joints):
        lines += [f"{'JOINT' if joint else 'ROOT'} joint{joint}", "{", "OFFSET 0 5.5 0"]
        lines.append(turns if joint else turns.replace("3", "6 Xposition Yposition Zposition"))
    lines += ["End Site", "{", "OFFSET 0 5.5 0", "}"] + ["}"] * joints
    lines += ["MOTION", f"Frames: {frames}", "Frame Time: 0.0083333"]
    phase = np.arange(240)[:, None] / 240 * 2 * np.pi + np.arange(3 + 3 * joints)
    rows = [" ".join(f"{value:.4f}" for value in row) for row in 20.0 * np.sin(phase)]
    lines += [rows[frame % 240] for frame in range(frames)]
    return "\n".join(lines) + "\n"


def _ground(shape: tuple[int, int]) -> Terrain:
    return make_terrain(shape, origin_xy=(-1.0, -1.0))


def _dataset(folder: pathlib.Path) -> MotionDataset:
    """Many entries that refer to a few files; opening and packing cost what they cost for as many files."""
    files = []
    for k in range(20):
        clip = make_clip(FRAMES, speed=0.1 * k, name=f"clip {k}", terrain=_ground((16, 16)))
        save_clip(folder / f"{k}.npz", clip)
        files.append((folder / f"{k}.npz", digest_file(folder / f"{k}.npz")))
    entries = [
        DatasetEntry(
            file=files[k % 20][0], name=f"clip {k}", motion_class="walk", num_frames=FRAMES, fps=30.0,
            digest=files[k % 20][1], weight=1.0 / CLIPS,
        )
        for k in range(CLIPS)
    ]  # fmt: skip
    dataset = MotionDataset(entries=tuple(entries))
    dataset.save(folder / "dataset.yaml")
    return dataset


def _rate(serve: Callable[[PackedClips, np.random.Generator], int], store: PackedClips, repeat: int) -> float:
    rng, rates = np.random.default_rng(0), []
    serve(store, rng)
    for _ in range(repeat):
        start = time.process_time()
        count = serve(store, rng)
        rates.append(count / (time.process_time() - start))
    return statistics.median(rates)


def _one_by_one(store: PackedClips, rng: np.random.Generator) -> int:
    clips = rng.integers(len(store), size=2000)
    starts = rng.integers(store.num_frames[clips] - WINDOW + 1)
    for clip, start in zip(clips.tolist(), starts.tolist()):
        store.window(clip, start, WINDOW)
    return len(clips)


def _batches(store: PackedClips, rng: np.random.Generator) -> int:
    for _ in range(8):
        clips = rng.integers(len(store), size=512)
        store.windows(clips, rng.integers(store.num_frames[clips] - WINDOW + 1), WINDOW)
    return 8 * 512


def _seconds(name: str, call: Callable[[int], object], repeat: int, note: str) -> Figure:
    figure = cpu_ms(name, call, repeat, note=note)
    assert figure.spread is not None
    return attrs.evolve(
        figure,
        value=figure.value / 1e3,
        unit="s CPU",
        spread=(figure.spread[0] / 1e3, figure.spread[1] / 1e3),
    )


if __name__ == "__main__":
    main()
