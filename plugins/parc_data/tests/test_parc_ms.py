"""Published motion-terrain files: what is read, and that nothing in them is executed."""

from __future__ import annotations

import os
import pathlib
import pickle
import resource
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from parc_core.interfaces import MotionSource, SeedStreams
from parc_data.formats.format import ReadOptions
from parc_data.formats.parc_ms import FORMAT, read_file
from parc_data.parc_ms import PublishedConfig, PublishedSource
from parc_motion.clips import MotionClip
from parc_motion.errors import DataError
from parc_motion.skeletons import load_skeleton
from parc_testing.builders import make_clip, make_terrain
from parc_testing.contracts.motion_source import MotionSourceContract

REAL = pathlib.Path(__file__).parents[4] / "shared" / "data" / "parc"
Writer = Callable[..., pathlib.Path]


def cpu_seconds() -> float:
    """CPU time of this process and of the children that have ended: a busy machine does not change it."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


@pytest.fixture
def published_file(tmp_path: pathlib.Path) -> Callable[..., pathlib.Path]:
    """Writes ``<name>.pkl`` with a valid motion; a section given by name replaces it (bytes as they are)."""

    def write(name: str, protocol: int = 4, **sections: Any) -> pathlib.Path:
        clip, terrain = make_clip(frames=20), make_terrain()
        motion = {
            "root_pos": np.array(clip.root_pos),
            "root_rot": np.array(clip.root_rot),
            "joint_rot": np.array(clip.joint_rot),
            "body_contacts": np.array(clip.contacts),
            "fps": np.float32(30.0),
            "loop_mode": "CLAMP",
        }
        maxmin = np.stack([terrain.height + 3.0, terrain.height - 2.0], axis=-1)
        ground = {
            "hf": np.array(terrain.height),
            "hf_maxmin": maxmin,
            "min_point": np.array(terrain.origin_xy),
            "dx": 0.4,
        }
        outer: dict[str, Any] = {"motion_data": motion, "terrain_data": ground, "misc_data": None, **sections}
        plain = (bytes, type(None))
        packed = {k: v if isinstance(v, plain) else pickle.dumps(v, protocol) for k, v in outer.items()}
        path = tmp_path / f"{name}.pkl"
        path.write_bytes(pickle.dumps(packed, protocol))
        return path

    return write


def read(path: pathlib.Path | str, **settings: Any) -> list[MotionClip]:
    config = PublishedConfig(path=str(path), **settings)
    return list(PublishedSource(config, skeleton=load_skeleton("humanoid"), seeds=SeedStreams(0)).clips())


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_motion_and_terrain_arrive_as_they_are(published_file: Writer, protocol: int) -> None:
    (clip,) = read(published_file("one", protocol=protocol))
    assert (clip.name, clip.motion_class, clip.fps, clip.num_frames) == ("one", "parkour", 30.0, 20)
    assert clip.contacts[:, [11, 14]].min() == 1.0
    assert clip.terrain.cell == 0.4
    assert clip.terrain.origin_xy == pytest.approx([-0.8, -0.8])


def test_bounds_are_turned_to_lowest_then_highest(published_file: Writer) -> None:
    (clip,) = read(published_file("one"))
    # the file holds highest = height + 3 first, then lowest = height - 2, on ground at 0
    assert clip.terrain.bounds[0, 0].tolist() == [-2.0, 3.0]


def test_bounds_that_nobody_computed_are_none(published_file: Writer) -> None:
    blank = np.tile([1.0, -1.0], (3, 3, 1))
    ground = {"hf": np.zeros((3, 3)), "hf_maxmin": blank, "min_point": np.zeros(2), "dx": 0.4}
    (clip,) = read(published_file("one", terrain_data=ground))
    assert clip.terrain.bounds is None


def test_touched_cells_and_path_nodes_are_kept(published_file: Writer) -> None:
    mask = [np.array([[2, 2], [3, 2]])] + [np.zeros((0, 2), dtype=np.int64)] * 19
    nodes = np.array([[0, 0, 0], [0.4, 0, 0], [0.8, 0, 0]])
    (clip,) = read(published_file("one", misc_data={"hf_mask_inds": mask, "path_nodes": nodes}))
    assert clip.touched.tolist() == [[0, 2, 2], [0, 3, 2]]
    assert clip.path.points == pytest.approx(nodes)


def test_misc_data_that_needs_other_classes_is_left_out_with_a_warning(
    published_file: Writer, caplog: pytest.LogCaptureFixture
) -> None:
    (clip,) = read(published_file("one", misc_data={"obs": pathlib.PurePosixPath("x")}))
    assert clip.path is None
    assert "misc_data is left out: it refers to 'pathlib" in caplog.text


def test_a_window_of_time_is_cut_and_named(published_file: Writer) -> None:
    published_file("one")
    (clip,) = read(published_file("one"), cut_s=(0.1, 0.5))
    # frames 3 to 15, both included
    assert (clip.name, clip.num_frames) == ("one_0.1s_0.5s", 13)


def test_a_window_after_the_end_is_refused(published_file: Writer) -> None:
    with pytest.raises(DataError, match=r"cut_s is 5.0 to 6.0 s, the motion lasts 0.63 s"):
        read(published_file("one"), cut_s=(5.0, 6.0))


def test_folder_gives_the_class_and_sorted_clips(published_file: Writer, tmp_path: pathlib.Path) -> None:
    published_file("b")
    published_file("a")
    assert [(c.name, c.motion_class) for c in read(tmp_path)] == [("a", tmp_path.name), ("b", tmp_path.name)]
    assert [c.name for c in read(tmp_path / "*.pkl", motion_class="x")] == ["a", "b"]


def test_a_pattern_without_files_is_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(DataError, match=r"no \.pkl file there"):
        read(tmp_path / "*.pkl")


class Call:
    """Pickles as a call of a function."""

    def __init__(self, function: Callable[..., Any], *args: Any) -> None:
        self.call = (function, args)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.call


def object_array() -> np.ndarray:
    array = np.empty(2, dtype=object)
    array[:] = [{"a": 1}, None]
    return array


HUGE = b"\x80\x05\x96" + (1 << 40).to_bytes(8, "little") + b"x."  # a bytearray of 1 TB
JOINTS_OF_TWO = np.tile([0.0, 0.0, 0.0, 1.0], (2, 2, 1))
MOTION = {"root_rot": np.zeros((2, 4)), "joint_rot": np.zeros((2, 14, 4)), "fps": 30}


@pytest.mark.parametrize(
    ("section", "cause"),
    [
        (lambda mark: pickle.dumps(Call(os.system, f"touch {mark}")), "it refers to 'posix.system'"),
        (lambda mark: pickle.dumps(Call(eval, f"open({str(mark)!r}, 'w')")), "it refers to 'builtins.eval'"),
        (
            lambda mark: pickle.dumps({"root_pos": Call(getattr, 1, "real")}),
            "it refers to 'builtins.getattr'",
        ),
        (
            lambda mark: pickle.dumps({**MOTION, "root_pos": object_array()}),
            "it holds an array of Python objects",
        ),
        (lambda mark: pickle.dumps({**MOTION, "root_pos": "text"}), "expected plain numbers"),
        (lambda mark: pickle.dumps({**MOTION})[:-9], "not a readable pickle"),
        (lambda mark: HUGE, "it needs more than the 288 MiB of memory"),
        (lambda mark: pickle.dumps([1, 2]), "motion_data holds a list, expected a dict"),
        (lambda mark: None, "motion_data is empty"),
    ],
    ids=["system", "eval", "getattr", "objects", "text", "truncated", "huge", "list", "none"],
)
def test_a_hostile_section_is_refused_and_not_executed(
    published_file: Writer, tmp_path: pathlib.Path, section: Callable[[pathlib.Path], bytes], cause: str
) -> None:
    mark = tmp_path / "executed"
    path = published_file("bad", motion_data=section(mark))
    started = cpu_seconds()
    with pytest.raises(DataError) as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert cause in str(caught.value)
    assert not mark.exists()
    assert cpu_seconds() - started < 5.0


def test_a_hostile_outer_pickle_is_refused(tmp_path: pathlib.Path) -> None:
    path, mark = tmp_path / "bad.pkl", tmp_path / "executed"
    path.write_bytes(pickle.dumps(Call(os.system, f"touch {mark}")))
    with pytest.raises(DataError) as caught:
        read(path)
    assert not mark.exists()
    assert str(caught.value) == (
        f"{path}: refused: it refers to 'posix.system'; only plain values and NumPy arrays are read. "
        "Nothing was executed. Save the motion as plain values and NumPy arrays."
    )


@pytest.mark.parametrize("content", [b"", b"not a pickle", b"\x80\x04."], ids=["empty", "text", "stop"])
def test_a_file_that_is_no_pickle_is_refused(tmp_path: pathlib.Path, content: bytes) -> None:
    path = tmp_path / "bad.pkl"
    path.write_bytes(content)
    with pytest.raises(DataError, match="refused"):
        read(path)


def test_arrays_that_do_not_fit_together_are_refused(published_file: Writer) -> None:
    motion = {**MOTION, "root_pos": np.zeros((5, 3)), "body_contacts": None, "loop_mode": "CLAMP"}
    with pytest.raises(DataError, match=r"bad.pkl: .*root_rot has shape"):
        read(published_file("bad", motion_data=motion))


@pytest.mark.skipif(not REAL.is_dir(), reason=f"no published motions at {REAL}")
def test_published_motions_are_read() -> None:
    (clip,) = read(REAL / "dec2024_teaser_717_1_opt_dm.pkl")
    assert (clip.num_frames, clip.terrain.shape, clip.motion_class) == (142, (18, 15), "parkour")
    assert clip.terrain.height.min() == pytest.approx(-12.1, abs=0.1)
    assert clip.touched is not None


@pytest.fixture
def real_files() -> dict[str, pathlib.Path]:
    if not REAL.is_dir():
        pytest.skip(f"no published motions at {REAL}")
    names = ("TEASER_TERRAIN", "dec2024_teaser_717_1_opt_dm", "dec2024_teaser_717_1_modified_opt")
    return {name: REAL / f"{name}.pkl" for name in names}


def test_every_published_file_opens_with_all_that_it_holds(real_files: dict[str, pathlib.Path]) -> None:
    recorded = read_file(real_files["dec2024_teaser_717_1_opt_dm"])
    assert recorded.misc["obs"].shape == (142, 1312)
    # the recorded observations, part by part: 136 + 6 * 105 + 6 * 15 + 15 + 441 = 1312
    sizes = {name: int(np.prod(part["shape"])) for name, part in recorded.misc["obs_shapes"].items()}
    assert sizes == {"char_obs": 136, "tar_obs": 630, "tar_contacts": 90, "char_contacts": 15, "hf": 441}
    assert recorded.misc["min_point_offset"] == pytest.approx([3.2, 1.2])
    assert recorded.touched[:, 0].max() == 141
    planned = read_file(real_files["TEASER_TERRAIN"])
    assert planned.path.points.shape == (10, 3)
    assert planned.misc["path_nodes"][0] == pytest.approx([26.0, 18.4, 1.0])
    assert planned.misc["opt:body_constraints"] == [[]] * 15
    kinematic = read_file(real_files["dec2024_teaser_717_1_modified_opt"])
    assert kinematic.joint_rot.shape == (142, 14, 4)
    # its extras are torch tensors: left out, and said so
    assert kinematic.warnings == (
        "misc_data is left out: it refers to 'torch._utils._rebuild_tensor_v2'; "
        "only plain values and NumPy arrays are read",
    )


def test_published_motions_keep_their_numbers_as_motions_of_the_humanoid(
    real_files: dict[str, pathlib.Path],
) -> None:
    skeleton = load_skeleton("humanoid")
    for path in real_files.values():
        assert FORMAT.recognizes(path, path.read_bytes()[:4096])
        stored = read_file(path)
        (motion,) = FORMAT.read(path, ReadOptions())
        assert motion.body_names == skeleton.body_names
        assert (motion.local_rot[:, 0] == stored.root_rot).all()
        assert (motion.local_rot[:, 1:] == stored.joint_rot).all()
        assert (motion.contacts == stored.contacts).all()
        assert motion.terrain is not None


def test_a_file_of_another_character_is_no_motion_of_the_humanoid(published_file: Writer) -> None:
    path = published_file(
        "other", motion_data={**MOTION, "root_pos": np.zeros((2, 3)), "joint_rot": JOINTS_OF_TWO}
    )
    with pytest.raises(
        DataError, match=r"other\.pkl: joint_rot holds 2 joints; the character of these files has 14"
    ):
        FORMAT.read(path, ReadOptions())


def test_extras_of_the_wrong_kind_are_left_out_with_a_reason(published_file: Writer) -> None:
    extras = {"hf_mask_inds": [np.zeros(3)], "path_nodes": np.zeros((2, 2)), "anything": "else"}
    stored = read_file(published_file("one", misc_data=extras))
    assert (stored.touched, stored.path, stored.misc["anything"]) == (None, None, "else")
    assert [warning.partition(":")[0] for warning in stored.warnings] == [
        "its touched cells are left out", "its path is left out",
    ]  # fmt: skip


class TestPublishedSource(MotionSourceContract):
    @pytest.fixture
    def make(self, tmp_path: pathlib.Path, published_file: Writer) -> Callable[[], MotionSource]:
        skeleton = load_skeleton("humanoid")
        terrain = make_terrain()
        mask = [terrain.cell_of(np.zeros((1, 2)))] * 20
        published_file("one", misc_data={"hf_mask_inds": mask})
        published_file("two")
        return lambda: PublishedSource(
            PublishedConfig(path=str(tmp_path)), skeleton=skeleton, seeds=SeedStreams(0)
        )
