"""Mirroring, cutting and exporting clips."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import attrs
import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from parc_core.config import Use
from parc_core.interfaces import SeedStreams
from parc_core.plugins import Registry
from parc_data.command.cut import cut
from parc_data.command.export import export
from parc_data.command.mirror import mirror
from parc_data.tools.cut import cut_clip, pieces_at_times, pieces_in_windows, pieces_without, slice_terrain
from parc_data.tools.export import mimickit_frames
from parc_data.tools.findings import ValidateConfig
from parc_data.tools.preprocess import Preprocessor
from parc_data.tools.validate import Validator
from parc_motion import storage
from parc_motion.clips import MotionClip, load_clip, mirror_clip, save_clip
from parc_motion.errors import DataError
from parc_motion.kinematics import Kinematics
from parc_motion.kinematics import rotations as rot
from parc_motion.skeletons import load_skeleton
from parc_testing.builders import make_clip, make_terrain

REAL = pathlib.Path(__file__).parents[4] / "shared" / "data" / "parc"
SKELETON = load_skeleton("humanoid")
real_motions = pytest.mark.skipif(not REAL.is_dir(), reason=f"no published motions at {REAL}")


def real(name: str) -> MotionClip:
    """A published motion, through the source `parc_ms`."""
    registry = Registry.discover()
    config = registry.load_config_class("motion_source", "parc_ms")(path=str(REAL / f"{name}.pkl"))
    source = registry.create("motion_source", Use("parc_ms", config), skeleton=SKELETON, seeds=SeedStreams(0))
    (clip,) = source.clips()
    return clip


def run(command: Any, *arguments: object) -> Result:
    result = CliRunner().invoke(command, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, (DataError, SystemExit)):
        raise result.exception
    return result


def test_mirroring_writes_flipped_clips_with_their_parents_digest(tmp_path):
    save_clip(tmp_path / "in/run/a.npz", make_clip(20, name="a"))
    document = json.loads(run(mirror, tmp_path / "in", "-o", tmp_path / "out", "--json").output)
    assert document["files"] == ["run/a_flipped.npz"]
    provenance = load_clip(tmp_path / "out/run/a_flipped.npz").provenance
    assert provenance.parents == (storage.digest_file(tmp_path / "in/run/a.npz"),)
    assert provenance.provider == "mirror"


def test_mirroring_keeps_the_originals_when_told(tmp_path):
    save_clip(tmp_path / "in/run/a.npz", make_clip(20, name="a"))
    assert (
        json.loads(run(mirror, tmp_path / "in", "-o", tmp_path / "out", "--keep", "--json").output)["clips"]
        == 2
    )


@real_motions
def test_a_mirrored_real_motion_mirrored_again_is_the_motion(tmp_path):
    clip = Preprocessor(SKELETON)(real("dec2024_teaser_717_1_opt_dm"))
    twice = mirror_clip(mirror_clip(clip, SKELETON), SKELETON, name=clip.name)
    assert save_clip(tmp_path / "a.npz", clip) == save_clip(tmp_path / "b.npz", twice)


@real_motions
def test_preprocessing_agrees_with_the_published_cells_and_bounds():
    clip = real("dec2024_teaser_717_1_opt_dm")
    ours = Preprocessor(SKELETON)(clip)
    published, computed = ({tuple(row) for row in c.touched.tolist()} for c in (clip, ours))
    # four of 894 cells differ: the published points of the two slanted clavicles lie elsewhere
    assert len(published & computed) >= 0.99 * max(len(published), len(computed))
    differs = np.abs(clip.terrain.bounds - ours.terrain.bounds) > 1e-3
    assert differs.mean() < 0.05


def test_times_and_frames_are_nearest_and_included():
    clip = make_clip(31)
    assert pieces_at_times(clip, [(0.0, 0.5), (0.51, 1.0)]) == [(0, 16), (15, 31)]
    with pytest.raises(DataError, match=r"lasts 1\.000 s; 0\.5\.\.1\.2 s is not inside"):
        pieces_at_times(clip, [(0.5, 1.2)])


def test_windows_are_equal_and_the_remainder_is_dropped():
    clip = make_clip(70)
    assert pieces_in_windows(clip, 1.0) == [(0, 30), (30, 60)]
    assert pieces_in_windows(clip, 1.0, 0.5) == [(0, 30), (15, 45), (30, 60)]
    assert pieces_in_windows(clip, 3.0) == []


def test_pieces_keep_their_frames_and_say_which():
    clip = attrs.evolve(make_clip(40, speed=1.0), loop="wrap", touched=[[4, 0, 0], [12, 1, 1], [30, 2, 2]])
    (piece,) = cut_clip(clip, [(10, 30)])
    assert (piece.name, piece.num_frames, piece.loop) == ("standing_f0010_0029", 20, "clamp")
    assert np.array_equal(piece.root_pos, clip.root_pos[10:30])
    assert piece.touched.tolist() == [[2, 1, 1]]


def test_a_whole_clip_keeps_its_name_and_loop():
    clip = make_clip(20, loop="wrap")
    (piece,) = cut_clip(clip, [(0, 20)])
    assert (piece.name, piece.loop) == ("standing", "wrap")


def test_sliced_terrain_has_the_same_heights_around_the_body():
    height = np.arange(300.0).reshape(20, 15) / 100
    clip = make_clip(30, speed=1.0, terrain=make_terrain((20, 15), height=height))
    clip = Preprocessor(SKELETON)(clip)
    sliced = slice_terrain(clip, 1.2)
    # the root goes from x = 0 to 29/30 m: cells of 0.4 m from -1.2 to 2.17 m, clipped to the grid that begins at -0.8
    assert sliced.terrain.shape == (8, 6)
    around = np.stack(np.meshgrid(np.linspace(-0.9, 2.1, 40), np.linspace(-0.9, 1.1, 40)), axis=-1)
    assert np.array_equal(sliced.terrain.height_at(around), clip.terrain.height_at(around))
    assert np.array_equal(Preprocessor(SKELETON)(sliced).touched, sliced.touched)


def test_terrain_is_not_sliced_away_under_the_body():
    clip = Preprocessor(SKELETON)(make_clip(5))
    with pytest.raises(DataError, match=r"touches cells further than 0\.1 m from its root"):
        slice_terrain(clip, 0.1)


def test_parts_between_impossible_flights_have_none():
    frames = 60
    contacts, lift = np.array(make_clip(frames).contacts), np.zeros(frames)
    contacts[25:40], lift[25:40] = 0.0, 0.3  # hangs in the air for half a second
    clip = make_clip(frames, contacts=contacts)
    clip = attrs.evolve(clip, root_pos=clip.root_pos + np.outer(lift, [0.0, 0.0, 1.0]))
    validator = Validator(SKELETON, ValidateConfig())
    flights = validator.flights(clip)
    assert pieces_without(clip, flights, flights.impossible().numpy()) == [(0, 25), (40, 60)]


def test_cut_writes_pieces_and_counts_short_ones(tmp_path):
    save_clip(tmp_path / "in/run/a.npz", make_clip(70, name="a"))
    args = (tmp_path / "in", "-o", tmp_path / "out", "--frames", "0:19", "--frames", "50:60", "--json")
    document = json.loads(run(cut, *args).output)
    assert document["files"] == ["run/a_f0000_0019.npz"]
    assert document["left_out"] == 1
    assert load_clip(tmp_path / "out/run/a_f0000_0019.npz").provenance.notes["cut_frames"] == [0, 19]


def test_a_single_part_may_be_named(tmp_path):
    save_clip(tmp_path / "in/run/a.npz", make_clip(70, name="a"))
    run(cut, tmp_path / "in", "-o", tmp_path / "out", "--time", "0:1", "--name", "start")
    assert load_clip(tmp_path / "out/run/start.npz").num_frames == 31
    several = run(cut, tmp_path / "in", "-o", tmp_path / "two", "--windows", "1", "--name", "start")
    assert isinstance(several.exception, DataError)
    assert not (tmp_path / "two").exists()


@pytest.mark.parametrize(
    "options",
    [(), ("--time", "0:1", "--windows", "1"), ("--time", "1-2"), ("--frames", "1.5:3"), ("--frames", "9:3"),
     ("--time", "0:1", "--stride", "1")],
)  # fmt: skip
def test_contradictory_or_odd_options_are_a_usage_error(tmp_path, options):
    save_clip(tmp_path / "in/run/a.npz", make_clip(70, name="a"))
    assert run(cut, tmp_path / "in", "-o", tmp_path / "out", *options).exit_code == 2
    assert not (tmp_path / "out").exists()


def test_a_cut_of_which_nothing_is_left_is_refused(tmp_path):
    save_clip(tmp_path / "in/run/a.npz", make_clip(20, name="a"))
    result = run(cut, tmp_path / "in", "-o", tmp_path / "out", "--windows", "5")
    assert isinstance(result.exception, DataError)
    assert not (tmp_path / "out").exists()


def test_our_own_npz_is_exported_exactly(tmp_path):
    clip = make_clip(20, name="a", motion_class="run", speed=0.3)
    before = save_clip(tmp_path / "in/run/a.npz", clip)
    run(export, tmp_path / "in", "-o", tmp_path / "out", "--format", "npz")
    assert storage.digest_file(tmp_path / "out/run/a.npz") == before


@real_motions
def test_mimickit_frames_give_the_same_body_back():
    clip = real("dec2024_teaser_717_1_opt_dm")
    frames = torch.tensor(mimickit_frames(clip, SKELETON))
    assert frames.shape == (142, 34)
    kin = Kinematics(SKELETON)
    back = kin.forward(
        frames[:, :3], rot.expmap_to_quat(frames[:, 3:6]), kin.dof_to_joint_rot(frames[:, 6:])
    )[0]
    arrays = (torch.tensor(array) for array in (clip.root_pos, clip.root_rot, clip.joint_rot))
    assert float((back - kin.forward(*arrays)[0]).norm(dim=-1).max()) < 1e-4


def test_mimickit_files_are_plain_arrays(tmp_path):
    save_clip(tmp_path / "in/run/a.npz", make_clip(20, name="a", loop="wrap", fps=25.0))
    run(export, tmp_path / "in", "-o", tmp_path / "out", "--format", "mimickit")
    with np.load(tmp_path / "out/run/a.npz", allow_pickle=False) as stored:
        assert (stored["frames"].shape, float(stored["fps"]), int(stored["loop_mode"])) == ((20, 34), 25.0, 1)
        assert json.loads(stored["header"].tobytes())["kind"] == "mimickit"


@pytest.mark.parametrize(("file_format", "start"), [("bvh", b"HIERARCHY"), ("csv", b"frame,time_s")])
def test_text_formats_are_written(tmp_path, file_format, start):
    save_clip(tmp_path / "in/run/a.npz", make_clip(20, name="a"))
    document = json.loads(
        run(export, tmp_path / "in", "-o", tmp_path / "out", "--format", file_format, "--json").output
    )
    assert document["files"] == [f"run/a.{file_format}"]
    assert (tmp_path / "out" / document["files"][0]).read_bytes().startswith(start)
