"""What every generator promises, on two tiny clips."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import cast

import numpy as np
import pytest

from parc_core.interfaces import Generator, Stopped
from parc_motion.clips import DatasetEntry, MotionClip, MotionDataset, save_clip
from parc_motion.errors import CorruptArtifact, DataError
from parc_motion.storage import digest_folder
from parc_motion.terrains import Path, Terrain
from parc_testing.builders import make_clip, make_terrain
from parc_testing.context import KeptMetrics, KeptProgress, make_context

__all__ = ["GeneratorContract", "tiny_dataset"]

_FIELDS = ("root_pos", "root_rot", "joint_rot", "contacts")
Make = Callable[[], Generator]


def tiny_dataset(folder: pathlib.Path, clips: list[MotionClip] | None = None) -> MotionDataset:
    """A data set of the given clips, or of one that stands and one that glides, with equal weights."""
    clips = clips or [make_clip(24, name="standing"), make_clip(30, name="gliding", speed=1.0)]
    entries = []
    for clip in clips:
        file = folder / f"{clip.name}.npz"
        digest = save_clip(file, clip)
        entries.append(
            DatasetEntry(
                file=file,
                name=clip.name,
                motion_class=clip.motion_class,
                num_frames=clip.num_frames,
                fps=clip.fps,
                digest=digest,
                weight=1.0 / len(clips),
            )
        )
    return MotionDataset(entries=tuple(entries))


class GeneratorContract:
    """Subclass it and give a fixture `make`: a function that returns a fresh generator for the humanoid.

    >>> class TestMyGenerator(GeneratorContract):
    ...     @pytest.fixture
    ...     def make(self):
    ...         return lambda: MyGenerator(MyConfig(epochs=2), skeleton=load_skeleton(), device="cpu")

    Training should take a second or less, and call `should_stop` at least twice.
    """

    @pytest.fixture
    def make(self) -> Make:
        """A function that returns a fresh generator; give your own."""
        raise NotImplementedError("give a fixture `make` that returns a function making a fresh generator")

    def test_proposals_are_valid_clips_with_terrain_path_and_verdict(
        self, make: Make, tmp_path: pathlib.Path
    ) -> None:
        generator = _fitted(make, tmp_path)
        terrain, path = _task()
        clips = generator.propose(terrain, path, 3, np.random.default_rng(0))
        assert len(clips) == 3
        for clip in clips:
            assert clip.skeleton == "humanoid"
            assert clip.path is not None
            np.testing.assert_array_equal(clip.path.points, path.points)
            assert isinstance(clip.provenance.notes["reached_goal"], bool)
            assert clip.contacts.min() >= 0.0 and clip.contacts.max() <= 1.0

    def test_ground_of_a_proposal_is_the_terrain_under_it(self, make: Make, tmp_path: pathlib.Path) -> None:
        generator = _fitted(make, tmp_path)
        terrain, path = _task()
        for clip in generator.propose(terrain, path, 2, np.random.default_rng(0)):
            assert clip.terrain is not None
            xy = clip.root_pos[:, :2]
            np.testing.assert_array_equal(clip.terrain.height_at(xy), terrain.height_at(xy))

    def test_batch_of_one_works(self, make: Make, tmp_path: pathlib.Path) -> None:
        generator = _fitted(make, tmp_path)
        assert len(generator.propose(*_task(), 1, np.random.default_rng(0))) == 1

    def test_proposals_start_at_the_path(self, make: Make, tmp_path: pathlib.Path) -> None:
        generator = _fitted(make, tmp_path)
        terrain, path = _task()
        for clip in generator.propose(terrain, path, 2, np.random.default_rng(0)):
            assert np.linalg.norm(clip.root_pos[0, :2] - path.points[0, :2]) < 1.0

    def test_same_numbers_give_the_same_proposals(self, make: Make, tmp_path: pathlib.Path) -> None:
        generator = _fitted(make, tmp_path)
        _assert_same(_proposals(generator, 5), _proposals(generator, 5))

    def test_other_numbers_give_other_proposals(self, make: Make, tmp_path: pathlib.Path) -> None:
        generator = _fitted(make, tmp_path)
        first, second = _proposals(generator, 5)[0], _proposals(generator, 6)[0]
        assert not np.array_equal(first.root_pos, second.root_pos)

    def test_restored_generator_proposes_as_the_saved_one(self, make: Make, tmp_path: pathlib.Path) -> None:
        generator = _fitted(make, tmp_path)
        generator.save(tmp_path / "saved")
        other = make()
        other.restore(tmp_path / "saved")
        _assert_same(_proposals(generator, 5), _proposals(other, 5))

    def test_same_seed_trains_the_same_weights(self, make: Make, tmp_path: pathlib.Path) -> None:
        digests = []
        for name in ("a", "b"):
            _fitted(make, tmp_path / name).save(tmp_path / name / "saved")
            digests.append(digest_folder(tmp_path / name / "saved"))
        assert digests[0] == digests[1]

    def test_stopped_training_continues_to_the_same_weights(self, make: Make, tmp_path: pathlib.Path) -> None:
        _fitted(make, tmp_path / "whole").save(tmp_path / "whole" / "saved")
        dataset = tiny_dataset(tmp_path / "data")
        asked = []

        def stop_at_second() -> bool:
            asked.append(True)
            return len(asked) == 2

        with pytest.raises(Stopped):
            make().fit(dataset, make_context(tmp_path / "part", should_stop=stop_at_second))
        generator = make()
        generator.fit(dataset, make_context(tmp_path / "part"))
        generator.save(tmp_path / "part" / "saved")
        assert digest_folder(tmp_path / "part" / "saved") == digest_folder(tmp_path / "whole" / "saved")

    def test_training_continues_from_restored_weights(self, make: Make, tmp_path: pathlib.Path) -> None:
        _fitted(make, tmp_path / "first").save(tmp_path / "first" / "saved")
        generator = make()
        generator.restore(tmp_path / "first" / "saved")
        before = _proposals(generator, 5)[0]
        generator.fit(tiny_dataset(tmp_path / "data"), make_context(tmp_path / "second", seed=1))
        after = _proposals(generator, 5)[0]
        assert not np.array_equal(before.root_pos, after.root_pos)

    def test_what_is_prepared_lies_in_the_cache_and_changes_no_weights(
        self, make: Make, tmp_path: pathlib.Path
    ) -> None:
        _fitted(make, tmp_path / "alone").save(tmp_path / "alone" / "saved")
        dataset, context = tiny_dataset(tmp_path / "data"), make_context(tmp_path / "prepared")
        make().prepare(dataset, context)
        assert {path.name for path in (tmp_path / "prepared").iterdir()} <= {"out", "cache"}
        assert not list(context.folder.iterdir())
        generator = make()
        generator.fit(dataset, context)
        generator.save(tmp_path / "prepared" / "saved")
        assert digest_folder(tmp_path / "prepared" / "saved") == digest_folder(tmp_path / "alone" / "saved")

    def test_training_reports_numbers_and_progress(self, make: Make, tmp_path: pathlib.Path) -> None:
        context = make_context(tmp_path)
        make().fit(tiny_dataset(tmp_path / "data"), context)
        metrics, progress = cast(KeptMetrics, context.metrics), cast(KeptProgress, context.progress)
        assert metrics.rows and progress.rows
        assert all(np.isfinite(value) for _, values in metrics.rows for value in values.values())

    def test_clip_without_terrain_is_refused(self, make: Make, tmp_path: pathlib.Path) -> None:
        dataset = tiny_dataset(tmp_path / "data", [make_clip(30, name="nowhere", terrain=None)])
        with pytest.raises(DataError, match="nowhere"):
            make().fit(dataset, make_context(tmp_path))

    def test_clips_that_are_too_short_are_refused(self, make: Make, tmp_path: pathlib.Path) -> None:
        dataset = tiny_dataset(tmp_path / "data", [make_clip(2, name="blink")])
        with pytest.raises(DataError):
            make().fit(dataset, make_context(tmp_path))

    def test_empty_folder_cannot_be_restored(self, make: Make, tmp_path: pathlib.Path) -> None:
        with pytest.raises(DataError):
            make().restore(tmp_path)

    def test_damaged_weights_are_refused(self, make: Make, tmp_path: pathlib.Path) -> None:
        _fitted(make, tmp_path).save(tmp_path / "saved")
        largest = max(
            (f for f in (tmp_path / "saved").iterdir() if f.suffix != ".json"), key=lambda f: f.stat().st_size
        )
        content = bytearray(largest.read_bytes())
        content[-1] ^= 1
        largest.write_bytes(bytes(content))
        with pytest.raises(CorruptArtifact):
            make().restore(tmp_path / "saved")


def _fitted(make: Make, folder: pathlib.Path) -> Generator:
    generator = make()
    generator.fit(tiny_dataset(folder / "data"), make_context(folder))
    return generator


def _task() -> tuple[Terrain, Path]:
    points = np.stack([0.4 * np.arange(6), np.zeros(6), np.zeros(6)], axis=-1)
    return make_terrain((14, 10)), Path(points=points, kinds=[0] * 5)


def _proposals(generator: Generator, seed: int) -> list[MotionClip]:
    return generator.propose(*_task(), 2, np.random.default_rng(seed))


def _assert_same(first: list[MotionClip], second: list[MotionClip]) -> None:
    assert len(first) == len(second)
    for a, b in zip(first, second):
        for field in _FIELDS:
            np.testing.assert_array_equal(getattr(a, field), getattr(b, field))
