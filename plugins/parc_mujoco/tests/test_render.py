from __future__ import annotations

import pathlib

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from parc_motion.clips import save_clip
from parc_motion.errors import DataError
from parc_mujoco.render import film, gl
from parc_mujoco.render.command import render
from parc_mujoco.render.find import clip_files
from parc_mujoco.render.gl import RenderUnavailable
from parc_mujoco.render.views import overview_camera, spread_frames
from parc_testing.builders import make_clip


@pytest.fixture(scope="module")
def can_draw():
    try:
        gl.open_context(16, 16).free()
    except RenderUnavailable as err:
        pytest.skip(f"nothing can be drawn here: {err}")


def saved(folder: pathlib.Path, name: str, **fields) -> pathlib.Path:
    path = folder / f"{name}.npz"
    save_clip(path, make_clip(**{"frames": 12, "speed": 1.0, "name": name, **fields}))
    return path


def test_run_folder_stands_for_generated_and_recorded_clips(tmp_path):
    wanted = ["iter_001/p2_kin_gen/a_0_1", "iter_001/p4_phys_record/recorded_motions"]
    others = ["iter_001/p2_kin_gen/a_0_1/flipped", "iter_001/p2_kin_gen/ignore/raw", "iter_001/p3_tracker"]
    for folder in wanted + others:
        saved(tmp_path / folder, "x")
    assert clip_files([tmp_path]) == [tmp_path / folder / "x.npz" for folder in wanted]


def test_other_folder_stands_for_everything_below_it(tmp_path):
    files = [saved(tmp_path, "a"), saved(tmp_path / "b", "c")]
    saved(tmp_path / "ignore", "d")
    assert clip_files([tmp_path]) == files
    assert clip_files(files[::-1]) == files[::-1]


def test_path_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(DataError) as caught:
        clip_files([tmp_path / "no"])
    assert str(caught.value) == (
        f"{tmp_path / 'no'}: does not exist. Give a clip (.npz), a folder of clips or a run folder."
    )


def test_frames_are_spread_with_both_ends():
    assert spread_frames(11, 3) == [0, 5, 10]
    assert spread_frames(2, 8) == [0, 1]


def test_overview_looks_across_the_path():
    clip = make_clip(30, speed=3.0)
    camera = overview_camera(clip, 2.0)
    # the path goes along x for 2.9 m: the direction of view is about y, the middle 1.45 m
    assert camera.azimuth == pytest.approx(90.0, abs=15.0)
    assert camera.lookat[0] == pytest.approx(1.45, abs=0.01)


def test_one_clip_becomes_one_picture(can_draw, tmp_path):
    path = saved(tmp_path, "walk")
    result = CliRunner().invoke(render, [str(path), "-o", str(tmp_path / "x.png"), "--size", "200x100"])
    assert result.exit_code == 0, result.output
    picture = np.asarray(Image.open(tmp_path / "x.png")).astype(int)
    assert picture.shape == (100, 200, 3)
    # sky, ground and a blue to orange character: something is to be seen
    assert picture.std() > 20
    assert (picture[..., 0] - picture[..., 2]).max() > 60 and (picture[..., 2] - picture[..., 0]).max() > 30


def test_several_clips_become_a_sheet_with_a_row_each(can_draw, tmp_path):
    saved(tmp_path / "in", "walk")
    saved(tmp_path / "in", "stand", speed=0.0, terrain=None)
    command = [str(tmp_path / "in"), "-o", str(tmp_path / "x.png"), "--size", "120x60", "--frames", "3"]
    result = CliRunner().invoke(render, command)
    assert result.exit_code == 0, result.output
    # 120 + 3 * 48 wide plus four gaps of 4; two rows of 60 and a gap of 4
    assert Image.open(tmp_path / "x.png").size == (280, 128)


def test_gif_has_a_picture_per_time_step(can_draw, tmp_path):
    path = saved(tmp_path, "walk", frames=13)
    command = [str(path), "-o", str(tmp_path / "x.gif"), "--size", "80x60", "--fps", "10"]
    assert CliRunner().invoke(render, command).exit_code == 0
    assert Image.open(tmp_path / "x.gif").n_frames == 5  # 12 / 30 s * 10 / s + 1


def test_mp4_is_written(can_draw, tmp_path):
    try:
        film._ffmpeg()
    except RenderUnavailable as err:
        pytest.skip(str(err))
    path = saved(tmp_path, "walk")
    result = CliRunner().invoke(render, [str(path), "-o", str(tmp_path / "x.mp4"), "--size", "80x60"])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "x.mp4").read_bytes()[4:8] == b"ftyp"


def test_machine_without_opengl_is_told_what_to_install(monkeypatch):
    monkeypatch.setattr(gl, "_probe", lambda name: "no library")
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    gl._backend.cache_clear()
    with pytest.raises(RenderUnavailable) as caught:
        gl.open_context(16, 16)
    gl._backend.cache_clear()
    assert str(caught.value) == (
        "no off-screen OpenGL on this machine (egl: no library; osmesa: no library). "
        "Install one of the Debian packages libegl1 (with libgl1-mesa-dri) or libosmesa6."
    )


def test_film_without_ffmpeg_is_told_what_to_install(monkeypatch):
    monkeypatch.setattr(film.shutil, "which", lambda name: None)
    monkeypatch.setattr(film.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(RenderUnavailable, match="Debian package ffmpeg"):
        film._ffmpeg()


def test_unknown_suffix_and_odd_size_are_refused(tmp_path):
    path = saved(tmp_path, "walk")
    result = CliRunner().invoke(render, [str(path), "-o", str(tmp_path / "x.bmp")])
    assert result.exit_code == 2 and "expected .png, .mp4 or .gif" in result.output
    result = CliRunner().invoke(render, [str(path), "-o", str(tmp_path / "x.png"), "--size", "11x10"])
    assert result.exit_code == 2 and "even" in result.output
