"""From files to clips: the pipeline, the sources of a run, and `parc data import`."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import attrs
import numpy as np
import pytest
from click.testing import CliRunner

from parc_core.interfaces import SeedStreams
from parc_data.command.group import data
from parc_data.export.bvh import clip_to_bvh
from parc_data.formats.detect import detect, find_format, formats, motion_files
from parc_data.import_settings import ImportSettings
from parc_data.importing import import_file
from parc_data.sources import AnySource, BvhSource, FilesConfig, unused_name
from parc_motion.clips import MotionClip, load_clip
from parc_motion.errors import DataError
from parc_motion.skeletons import load_skeleton
from parc_testing.builders import make_clip
from parc_testing.contracts.motion_source import MotionSourceContract

SKELETON = load_skeleton("humanoid")
REAL_FILES = (
    *(f"amp/amp_humanoid_{name}.npy" for name in ("backflip", "dance", "tpose", "walk")), "amp/cmu_tpose.npy",
    "bvh/mass/kick.bvh", "bvh/mass/walk.bvh", "bvh/mixamo/test_freebvh.bvh", "bvh/pybvh/cmu_12_01_walk.bvh",
    "bvh/pybvh/full_precision_frame_time.bvh", "bvh/pybvh/rotation_first_root.bvh", "bvh/pybvh/standard_skeleton.bvh",
    "climb/mocap_climb_seq_1/mocap_climb_seq_1_joint_positions_f0-2422.npy", "cmu/01_01.amc", "cmu/01_01.bvh",
    *(f"deepmimic/humanoid3d_{name}.txt" for name in (
        "backflip", "cartwheel", "dance_a", "dance_spin", "getup_facedown", "jog", "kick", "punch", "sideflip", "spin",
        "walk", "zombie_walk")),
    "parc/TEASER_TERRAIN.pkl", "parc/dec2024_teaser_717_1_modified_opt.pkl", "parc/dec2024_teaser_717_1_opt_dm.pkl",
    "smpl/video_CR7_level1_filter_amass.npz", "smpl/video_walk_level1_filter_amass.npz",
    "g1/output_walk.csv",  # not a humanoid of ours: refused
)  # fmt: skip
REAL = pathlib.Path(__file__).resolve().parents[4] / "shared" / "data"


def walking_bvh(frames: int = 24) -> bytes:
    """The humanoid gliding forward while it swings its legs, as BVH."""
    clip = make_clip(frames, speed=0.5)
    swing = 0.3 * np.sin(np.arange(frames) / 4.0)
    joint_rot = np.array(clip.joint_rot)
    for joint, sign in ((8, 1.0), (11, -1.0)):  # hips, about y
        joint_rot[:, joint, 1], joint_rot[:, joint, 3] = np.sin(sign * swing / 2), np.cos(swing / 2)
    return clip_to_bvh(attrs.evolve(clip, joint_rot=joint_rot), SKELETON)


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    """Two folders with a motion each, a license and a damaged motion."""
    for name in ("walks", "turns"):
        (tmp_path / "in" / name).mkdir(parents=True)
        (tmp_path / "in" / name / "one.bvh").write_bytes(walking_bvh())
    (tmp_path / "in" / "LICENSE").write_text("anybody may use it")
    (tmp_path / "in" / "walks" / "torn.bvh").write_bytes(walking_bvh()[:900])
    return tmp_path / "in"


def source(kind: type, path: pathlib.Path, **settings: Any):
    return kind(FilesConfig(path=str(path), **settings), skeleton=SKELETON, seeds=SeedStreams(7))


class TestBvhSource(MotionSourceContract):
    @pytest.fixture
    def make(self, folder):
        return lambda: source(BvhSource, folder)


def run(*arguments: object) -> Any:
    return CliRunner().invoke(data, ["import", *map(str, arguments)], catch_exceptions=True)


def only(file: pathlib.Path, **settings: Any) -> MotionClip:
    (imported,) = import_file(file, find_format("bvh"), SKELETON, ImportSettings(**settings), "walks")
    return imported.clip


def test_clip_says_where_it_came_from(folder):
    clip = only(folder / "walks" / "one.bvh")
    assert (clip.fps, clip.skeleton, clip.motion_class) == (30.0, "humanoid", "walks")
    assert clip.provenance.provider == "bvh"
    assert len(clip.provenance.parents[0]) == 64
    assert clip.provenance.notes["file"] == "one.bvh"
    assert clip.provenance.notes["source_fps"] == 30.0


def test_clip_stands_on_fitted_ground_with_contacts(folder):
    clip = only(folder / "walks" / "one.bvh")
    assert clip.terrain is not None
    assert np.ptp(clip.terrain.height) == 0.0
    feet = [SKELETON.body_id("left_foot"), SKELETON.body_id("right_foot")]
    others = [body for body in range(SKELETON.num_bodies) if body not in feet]
    assert (clip.contacts[:, others] == 0).all()


def test_frame_rate_is_the_asked_one(folder):
    clip = only(folder / "walks" / "one.bvh", fps=60.0)
    assert clip.fps == 60.0
    assert clip.num_frames == 47  # 23 intervals of 1/30 s


def test_files_are_told_by_content(tmp_path):
    (tmp_path / "motion.txt").write_bytes(walking_bvh())
    found = detect(tmp_path / "motion.txt")
    assert found is not None and found.name == "bvh"
    (tmp_path / "notes.txt").write_text("HIERARCHIES are overrated")
    assert detect(tmp_path / "notes.txt") is None


def test_every_format_has_a_reader():
    assert all(find_format(one.name) is one for one in formats())
    with pytest.raises(DataError, match=r"no motion format is called 'fbx'. There are bvh, asf_amc, "):
        find_format("fbx")


def test_folders_are_searched_and_other_files_passed_over(folder):
    names = [path.relative_to(folder).as_posix() for path, _ in motion_files([folder])]
    assert names == ["turns/one.bvh", "walks/one.bvh", "walks/torn.bvh"]
    with pytest.raises(DataError, match="LICENSE: not a known motion format"):
        motion_files([folder / "LICENSE"])


def test_source_leaves_out_what_is_damaged(folder, caplog):
    clips = list(source(AnySource, folder).clips())
    assert [(clip.name, clip.motion_class) for clip in clips] == [("one", "turns"), ("one_bvh", "walks")]
    assert "torn.bvh" in caplog.text


def test_source_without_a_usable_file_is_an_error(folder):
    with pytest.raises(DataError, match=r"torn\.bvh"):
        list(source(BvhSource, folder / "walks" / "torn.bvh").clips())
    with pytest.raises(DataError, match="All are shorter than 100 frames"):
        list(source(BvhSource, folder / "turns", min_num_frames=100).clips())


def test_names_that_are_taken_get_format_and_number():
    assert unused_name("a", "bvh", set()) == "a"
    assert unused_name("a", "bvh", {"a"}) == "a_bvh"
    assert unused_name("a", "bvh", {"a", "a_bvh", "a_bvh_2"}) == "a_bvh_3"


def test_import_writes_what_it_can_and_names_the_rest(folder, tmp_path):
    result = run(folder, "-o", tmp_path / "out", "--json")
    assert result.exit_code == 65
    document = json.loads(result.stdout)
    assert [row["clip"] for row in document["clips"]] == ["one", "one_bvh"]
    assert len(document["failed"]) == 1 and "torn.bvh" in document["failed"][0]
    assert load_clip(tmp_path / "out" / "walks" / "one_bvh.npz").num_frames == 24
    assert json.loads((tmp_path / "out" / "import.json").read_text())["failed"] == document["failed"]


def test_import_of_nothing_usable_writes_nothing(folder, tmp_path):
    result = run(folder / "walks" / "torn.bvh", "-o", tmp_path / "out")
    assert isinstance(result.exception, DataError)
    assert not (tmp_path / "out").exists()


def test_import_does_not_replace_a_folder_unasked(folder, tmp_path):
    assert run(folder / "turns", "-o", tmp_path / "out").exit_code == 0
    again = run(folder / "turns", "-o", tmp_path / "out")
    assert "exists already" in str(again.exception)
    assert run(folder / "turns", "-o", tmp_path / "out", "--overwrite", "--class", "mine").exit_code == 0
    assert (tmp_path / "out" / "mine" / "one.npz").is_file()


def test_real_motions_import_without_options(tmp_path):
    if not REAL.is_dir():
        pytest.skip(f"the real motions {REAL} are not here")
    result = run(*(REAL / name for name in REAL_FILES), "-o", tmp_path / "out", "--json")
    document = json.loads(result.stdout)
    assert len(document["failed"]) == 1 and "the character 'g1' is missing" in document["failed"][0]
    assert len(document["clips"]) == len(REAL_FILES) - 1
    still = [row["clip"] for row in document["clips"] if row["frames"] == 1]
    assert sorted(still) == ["amp_humanoid_tpose", "cmu_tpose", "standard_skeleton"]
    for row in document["clips"]:
        report = row["retarget"]
        if report["method"] != "ik":
            continue
        assert report["key_body_error"]["mean"] < 0.03, row["clip"]
        assert report["foot_slide"]["max"] < 0.01, row["clip"]
        assert report["frames_over_limit"] == 0, row["clip"]
