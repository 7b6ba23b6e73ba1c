"""Faults of clips: each is named with its frames and its value, and sound clips have none."""

from __future__ import annotations

import json
import pathlib
import re
from typing import Any

import attrs
import numpy as np
import pytest
from click.testing import CliRunner

from parc_core.interfaces import SeedStreams
from parc_data.command.validate import validate
from parc_data.parc_ms import read_published
from parc_data.procedural.source import ProceduralConfig, ProceduralSource
from parc_data.tools.find import find_clips
from parc_data.tools.findings import Finding, ValidateConfig, frame_runs
from parc_data.tools.validate import Validator, validate_files
from parc_motion import storage
from parc_motion.clips import MotionClip, save_clip
from parc_motion.skeletons import load_skeleton
from parc_testing.builders import make_clip, make_terrain

REAL = pathlib.Path(__file__).parents[4] / "shared" / "data" / "parc"
SKELETON = load_skeleton("humanoid")


def check(clip: MotionClip, **settings: Any) -> list[Finding]:
    (findings,) = Validator(SKELETON, ValidateConfig(**settings)).check([clip])
    return findings


def only(clip: MotionClip, name: str, **settings: Any) -> Finding:
    findings = [finding for finding in check(clip, **settings) if finding.check == name]
    assert len(findings) == 1, [finding.text for finding in findings]
    return findings[0]


def moved(clip: MotionClip, **xyz: np.ndarray | float) -> MotionClip:
    """The clip with its root moved along axes."""
    pos = np.array(clip.root_pos)
    for axis, value in xyz.items():
        pos[:, "xyz".index(axis)] += value
    return attrs.evolve(clip, root_pos=pos)


def jumping(frames: int = 30, gravity: float = 9.81, speed: float = 0.0) -> MotionClip:
    """Stands for 5 frames, then is thrown up so that it lands in the last of the frames; no label in the air."""
    time = np.maximum(np.arange(frames) - 4, 0) / 30.0
    up = 0.5 * gravity * time * (time[-1] - time)
    contacts = np.array(make_clip(frames).contacts)
    contacts[5:-1] = 0.0
    clip = make_clip(frames, speed=speed, contacts=contacts, terrain=make_terrain((20, 10)))
    return moved(clip, z=up)


def test_a_sound_clip_has_no_findings():
    assert check(make_clip(30)) == []


def test_a_teleport_is_an_error_with_its_frame_and_speed():
    finding = only(moved(make_clip(30), x=np.where(np.arange(30) < 10, 0.0, 0.5)), "teleport")
    # 0.5 m in 1/30 s, from frame 9 to 10
    assert (finding.level, finding.frames, finding.worst_frame) == ("error", ((9, 9),), 9)
    assert finding.value == pytest.approx(15.0, rel=1e-4)


def test_a_joint_that_jumps_is_named():
    joint_rot = np.array(make_clip(20).joint_rot)
    joint_rot[12:, 0] = [0.0, 0.0, 1.0, 0.0]  # half a turn of the torso in one frame: 30 pi rad/s
    finding = only(make_clip(20, joint_rot=joint_rot), "joint_jump")
    assert (finding.where, finding.frames) == (SKELETON.joints[0].name, ((11, 11),))
    assert finding.value == pytest.approx(30 * np.pi, rel=1e-4)


def test_a_joint_beyond_its_limit_is_named_with_the_excess():
    joint = SKELETON.body_id("right_shin") - 1  # knee: a hinge about y, 0 to 160 degrees
    joint_rot = np.array(make_clip(20).joint_rot)
    joint_rot[5:8, joint] = [0.0, np.sin(-0.05), 0.0, np.cos(-0.05)]  # -0.1 rad
    finding = only(make_clip(20, joint_rot=joint_rot), "joint_limit")
    assert (finding.where, finding.frames) == ("right_knee", ((5, 7),))
    assert finding.value == pytest.approx(0.1, abs=1e-5)


def test_sliding_feet_are_measured_per_contact():
    findings = [f for f in check(make_clip(31, speed=0.5)) if f.check == "sliding"]
    assert {f.where for f in findings} == {"left_foot", "right_foot"}
    assert [f.value for f in findings] == pytest.approx([0.5, 0.5], rel=1e-3)  # 0.5 m/s for 1 s
    assert findings[0].frames == ((0, 30),)


def test_penetration_is_the_depth_of_the_deepest_point():
    finding = only(moved(make_clip(20), z=np.where(np.arange(20) >= 15, -0.05, 0.0)), "penetration")
    assert (finding.where, finding.frames) == ("right_foot", ((15, 19),))
    assert finding.value == pytest.approx(0.05, abs=1e-4)


def test_contact_labels_in_the_air_are_floating():
    findings = [
        f
        for f in check(moved(make_clip(20), z=np.where(np.arange(20) < 3, 0.08, 0.0)))
        if f.check == "floating"
    ]
    assert {f.where for f in findings} == {"left_foot", "right_foot"}
    assert findings[0].frames == ((0, 2),)
    assert findings[0].value == pytest.approx(0.08, abs=1e-4)


def test_a_body_that_never_comes_down_floats_as_a_whole():
    finding = only(moved(make_clip(20), z=0.1), "floating")
    assert (finding.where, finding.frames) == ("whole body", ((0, 19),))


def test_missing_contact_labels_are_a_warning():
    assert only(make_clip(20, contacts=np.zeros((20, 15))), "no_contacts").level == "warning"


@pytest.mark.parametrize(("fps", "level"), [(29.97, "note"), (5.0, "warning"), (500.0, "warning")])
def test_odd_frame_rates_are_told(fps, level):
    finding = only(make_clip(20, fps=fps), "fps")
    assert (finding.level, finding.value) == (level, fps)


def test_short_and_long_clips_are_told():
    assert only(make_clip(14), "too_short").value == 14
    assert only(make_clip(100), "too_long", max_length=3.0).value == pytest.approx(3.3)


def test_terrain_that_is_missing_wide_or_left_is_told():
    assert only(make_clip(20, terrain=None), "no_terrain").level == "warning"
    assert only(make_clip(20), "wide_terrain", max_terrain_dim=11).value == 12
    # cells reach from -1.0 to 3.8 m along x
    left = moved(make_clip(20), x=np.where(np.arange(20) < 18, 0.0, 0.25 * np.arange(20)))
    finding = only(left, "off_terrain")
    assert (finding.frames, finding.value) == (((18, 19),), pytest.approx(0.25 * 19 - 3.8, abs=1e-5))


def test_a_ballistic_jump_is_possible():
    assert [f for f in check(jumping(speed=1.0)) if f.check in ("flight", "fps")] == []


def test_a_weak_take_off_is_a_flight_that_no_body_could_make():
    finding = only(jumping(gravity=5.0), "flight")
    # in the air from frame 5, off the ground by 2 cm, to frame 28
    assert finding.frames[0][0] in (5, 6)
    assert finding.where == "take-off"
    assert finding.value > 0.3


def test_gaining_speed_in_the_air_is_impossible():
    pushed = moved(jumping(), x=np.maximum(np.arange(30) - 15, 0) / 30.0)
    finding = only(pushed, "flight")
    assert (finding.where, finding.value) == ("horizontal", pytest.approx(1.0, rel=1e-3))


def test_a_slow_fall_tells_of_the_frame_rate():
    # shown at half the rate at which they were taken, things fall with a quarter of g; the arms swing a little besides
    finding = only(jumping(gravity=9.81 / 4), "fps")
    assert finding.value == pytest.approx(9.81 / 4, rel=0.05)
    assert re.fullmatch(
        "falls at 2.5 m/s.2 in flights, as if recorded at (59|60|61) frames per second, not 30", finding.text
    )


def test_clips_of_a_batch_do_not_influence_each_other():
    clips = [make_clip(20), moved(make_clip(33), z=-0.05), make_clip(17, terrain=None), jumping(gravity=5.0)]
    together = Validator(SKELETON, ValidateConfig()).check(clips)
    assert [[f.text for f in one] for one in together] == [[f.text for f in check(clip)] for clip in clips]


def test_runs_have_first_and_last_frames():
    assert frame_runs(np.array([1, 0, 1, 1, 0, 1], dtype=bool)) == ((0, 0), (2, 3), (5, 5))
    assert frame_runs(np.zeros(3, dtype=bool)) == ()


def damaged(path: pathlib.Path, **arrays: np.ndarray) -> pathlib.Path:
    """A clip file whose arrays no MotionClip accepts."""
    save_clip(path, make_clip(20, name=path.stem))
    good, header = storage.read_arrays(path)
    storage.write_arrays(path, {**good, **arrays}, header)
    return path


def report_on(path: pathlib.Path) -> list[Finding]:
    (report,) = validate_files(find_clips([path]), SKELETON, ValidateConfig())
    return list(report.findings)


def test_numbers_that_are_not_finite_are_found_in_the_file(tmp_path):
    pos = np.array(make_clip(20).root_pos)
    pos[3:5, 1], pos[9, 0] = np.nan, np.inf
    (finding,) = report_on(damaged(tmp_path / "a.npz", root_pos=pos))
    assert (finding.check, finding.level, finding.where) == ("not_finite", "error", "root_pos")
    assert finding.frames == ((3, 4), (9, 9))
    assert finding.text == "root_pos holds 3 numbers that are not finite, in 3 frames"


def test_quaternions_that_are_not_unit_are_found_in_the_file(tmp_path):
    rot = np.array(make_clip(20).joint_rot)
    rot[7, 4] *= 1.5
    (finding,) = report_on(damaged(tmp_path / "a.npz", joint_rot=rot))
    assert (finding.check, finding.frames, finding.value) == ("not_unit", ((7, 7),), pytest.approx(1.5))


def test_files_that_cannot_be_read_cost_only_themselves(tmp_path):
    save_clip(tmp_path / "a.npz", make_clip(20, name="a"))
    (tmp_path / "b.npz").write_bytes(b"PK not a zip")
    save_clip(tmp_path / "c.npz", make_clip(20, name="c", skeleton="robot"))
    save_clip(tmp_path / "d.npz", make_clip(20, name="d"))
    reports = list(validate_files(find_clips([tmp_path]), SKELETON, ValidateConfig()))
    assert [[f.check for f in r.findings] for r in reports] == [[], ["unreadable"], ["character"], []]


def test_no_mutated_file_raises_anything(tmp_path):
    rng, file = np.random.default_rng(0), tmp_path / "a.npz"
    save_clip(file, make_clip(20))
    good = file.read_bytes()
    outcomes = set()
    for _ in range(200):
        data = bytearray(good)
        for place in rng.integers(len(data), size=rng.integers(1, 5)):
            data[place] = rng.integers(256)
        file.write_bytes(data[: None if rng.random() < 0.8 else rng.integers(len(data))])
        outcomes.add(tuple(finding.check for finding in report_on(file)))
    assert outcomes <= {("unreadable",), ("not_finite",), ("not_unit",), ("character",), ()}
    assert ("unreadable",) in outcomes


def run(*arguments: str) -> Any:
    return CliRunner().invoke(validate, arguments)


def test_exit_code_tells_of_errors_and_with_strict_of_warnings(tmp_path):
    save_clip(tmp_path / "slide.npz", make_clip(31, speed=0.5))
    assert run(str(tmp_path)).exit_code == 0
    assert run(str(tmp_path), "--strict").exit_code == 65
    assert run(str(tmp_path), "--strict", "--max-slide", "0.6").exit_code == 0
    (tmp_path / "bad.npz").write_bytes(b"")
    assert run(str(tmp_path)).exit_code == 65


def test_json_has_every_finding_with_frames_and_value(tmp_path):
    save_clip(tmp_path / "a.npz", moved(make_clip(20), z=np.where(np.arange(20) >= 15, -0.05, 0.0)))
    document = json.loads(run(str(tmp_path), "--json").output)
    assert (document["clips"], document["errors"], document["warnings"]) == (1, 0, 1)
    (finding,) = document["reports"][0]["findings"]
    assert (finding["check"], finding["frames"], finding["limit"]) == ("penetration", [[15, 19]], 0.03)


def test_thresholds_out_of_range_are_a_usage_error(tmp_path):
    save_clip(tmp_path / "a.npz", make_clip(20))
    result = run(str(tmp_path), "--max-slide", "-1")
    assert result.exit_code == 2
    assert "--max-slide: -1.0 is out of range, expected >= 0 and <= 1e+06 m." in result.output


def test_synthesised_runs_and_jumps_have_no_findings():
    config = ProceduralConfig(classes=("run", "gap"))
    clips = list(ProceduralSource(config, skeleton=SKELETON, seeds=SeedStreams(0)).clips())
    found = Validator(SKELETON, ValidateConfig()).check(clips)
    assert [(clip.name, f.text) for clip, fs in zip(clips, found) for f in fs] == []


@pytest.mark.skipif(not REAL.is_dir(), reason=f"no published motions at {REAL}")
def test_flights_of_a_simulated_motion_are_possible_and_its_raised_ground_is_found():
    names = ("dec2024_teaser_717_1_modified_opt", "dec2024_teaser_717_1_opt_dm")
    raised, simulated = (read_published(REAL / f"{name}.pkl", SKELETON, "parkour") for name in names)
    findings = check(simulated)
    assert [f for f in findings if f.level == "error" or f.check in ("flight", "penetration", "fps")] == []
    # the ground was raised by 0.2 m under this one
    assert only(raised, "penetration").value == pytest.approx(0.2, abs=0.005)
    flights = Validator(SKELETON, ValidateConfig()).flights(simulated)
    assert flights.fall.numpy() == pytest.approx(np.full(len(flights.first), 9.81), abs=0.1)
    assert flights.deficit.numpy() == pytest.approx(np.zeros(len(flights.first)), abs=0.01)
