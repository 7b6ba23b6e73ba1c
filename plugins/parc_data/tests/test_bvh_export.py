"""Clips written as BVH: what other programs expect, and that reading gives the same motion back."""

from __future__ import annotations

import pathlib

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from parc_data.export.bvh import clip_to_bvh
from parc_data.formats import bvh
from parc_data.formats.format import ReadOptions
from parc_data.source_motion import SourceMotion
from parc_motion.clips import MotionClip
from parc_motion.errors import DataError, SkeletonMismatch
from parc_motion.kinematics import Kinematics
from parc_motion.skeletons import load_skeleton
from parc_testing.builders import make_clip

HUMANOID = load_skeleton("humanoid")


def tumbling_clip(frames: int = 40) -> MotionClip:
    """A clip whose bodies turn every way, past 180 degrees and through right angles."""
    rng = np.random.default_rng(3)
    speed = rng.uniform(-3.0, 3.0, (15, 3))
    turns = Rotation.from_rotvec(
        (np.linspace(0.0, 2.0, frames)[:, None, None] * speed).reshape(-1, 3)
    ).as_quat()
    turns = turns.reshape(frames, 15, 4)
    turns[0, 3] = Rotation.from_euler("ZYX", [40, 90, 0], degrees=True).as_quat()
    root_pos = np.stack([np.linspace(0, 5, frames), np.full(frames, -2.0), np.full(frames, 0.9)], axis=1)
    return make_clip(frames=frames, root_pos=root_pos, root_rot=turns[:, 0], joint_rot=turns[:, 1:])


def back(tmp_path: pathlib.Path, clip: MotionClip, scale: float = 0.01) -> SourceMotion:
    path = tmp_path / "out.bvh"
    path.write_bytes(clip_to_bvh(clip, HUMANOID, scale=scale))
    (motion,) = bvh.read(path, ReadOptions())
    return motion


@pytest.mark.parametrize("clip", [make_clip(), tumbling_clip()], ids=["standing", "tumbling"])
@pytest.mark.parametrize("up", ["y", "z"])
def test_reading_it_back_gives_the_same_places(tmp_path: pathlib.Path, clip: MotionClip, up: str) -> None:
    path = tmp_path / "out.bvh"
    path.write_bytes(clip_to_bvh(clip, HUMANOID, up=up))
    (motion,) = bvh.read(path, ReadOptions(up=up))
    pose = [torch.from_numpy(x.astype(np.float64)) for x in (clip.root_pos, clip.root_rot, clip.joint_rot)]
    expected = Kinematics(HUMANOID, dtype=torch.float64).forward(*pose)[0].numpy()
    found = motion.body_pos[:, [motion.body_id(name) for name in HUMANOID.body_names]]
    assert np.abs(found - expected).max() < 1e-5
    assert motion.fps == clip.fps


def test_our_own_file_is_understood_without_options(tmp_path: pathlib.Path) -> None:
    notes = back(tmp_path, make_clip()).notes
    assert (notes["unit"], notes["up"], notes["first_frame"]) == ("centimeter", "y", "kept")


def test_lengths_are_centimeters_with_y_up_and_the_character_looks_along_z() -> None:
    lines = clip_to_bvh(make_clip(), HUMANOID).decode().splitlines()
    # left_thigh lies 0.084887 m to the left: on x. A toe tip is 0.045 + 0.0885 m ahead and 0.0225 m below the ankle.
    assert "\t\tOFFSET 8.488700 0.000000 0.000000" in lines
    assert "\t\t\t\t\tOFFSET 0.000000 -2.250000 13.350000" in lines
    first = lines[lines.index("MOTION") + 3].split()
    assert first[:3] == ["0.000000", "88.141602", "0.000000"]


def test_angles_run_on_instead_of_jumping() -> None:
    turns = np.zeros((60, 4))
    angles = np.linspace(0.0, 4 * np.pi, 60)
    turns[:, 2], turns[:, 3] = np.sin(angles / 2), np.cos(angles / 2)
    lines = clip_to_bvh(make_clip(frames=60, root_rot=turns), HUMANOID, up="z").decode().splitlines()
    column = [float(line.split()[3]) for line in lines[lines.index("MOTION") + 3 :]]
    assert column == pytest.approx(np.degrees(angles), abs=1e-3)


def test_another_unit_is_written_and_found(tmp_path: pathlib.Path) -> None:
    motion = back(tmp_path, make_clip(), scale=1.0)
    assert motion.notes["unit"] == "meter"


def test_a_scale_of_nothing_is_refused() -> None:
    with pytest.raises(DataError) as caught:
        clip_to_bvh(make_clip(), HUMANOID, scale=0.0)
    assert str(caught.value) == "clip 'standing': scale is 0.0 m per unit, expected more than 0."


def test_a_clip_of_another_character_is_refused() -> None:
    with pytest.raises(SkeletonMismatch):
        clip_to_bvh(make_clip(skeleton="robot"), HUMANOID)
