"""Quality control of recordings: what is measured, which limit it breaks, which part is left."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
import torch

from parc_deepmimic.acceptance import AcceptanceCheck, Attempt, longest_run
from parc_deepmimic.frame_measures import ClipMeter
from parc_deepmimic.quality import contact_match, first_flaw, rejected_frames
from parc_deepmimic.retry_config import QualityConfig, RetryConfig
from parc_deepmimic.trial import Trial
from parc_motion.kinematics import Kinematics, surface_points
from parc_motion.skeletons import load_skeleton
from parc_testing.builders import make_clip, make_terrain

HUMANOID = load_skeleton("humanoid")
METER = ClipMeter(HUMANOID)


def make_trial(clip, success=True, **override):
    """A try that went exactly as the clip goes."""
    frames, rest = clip.num_frames, np.zeros(28)
    fields = {
        "motion_id": 0,
        "start_s": 0.0,
        "success": success,
        "root_pos": clip.root_pos,
        "root_rot": clip.root_rot,
        "joint_rot": clip.joint_rot,
        "sound": np.ones(frames, dtype=bool),
        "force": 100.0 * clip.contacts,
        "ref_contacts": clip.contacts,
        "errors": {name: np.zeros(frames) for name in ("root_pos", "root_rot", "body_pos")},
        "start": {
            "root_pos": clip.root_pos[0],
            "root_rot": clip.root_rot[0],
            "joint_rot": clip.joint_rot[0],
            "root_vel": np.zeros(3),
            "root_ang_vel": np.zeros(3),
            "dof_vel": rest,
        },
        "dof_target": np.tile(rest, (frames - 1, 1)),
    }
    return Trial(**{**fields, **override})


def judge(clip, trial, **settings):
    how = Attempt(agent="test", fraction=0.0, attempts=1, length_s=clip.length, control_hz=30.0)
    return AcceptanceCheck(RetryConfig(**settings), HUMANOID)(clip, trial, how)


def over_a_step(frames=75, rise=0.05):
    """The straight humanoid glides at 1 m/s into ground that is higher from x = 1.8 m to 2.2 m."""
    return make_clip(frames, speed=1.0, terrain=make_terrain(steps=[((7, slice(None)), rise)]))


def toe() -> float:
    """How far the foremost point of the straight humanoid's soles is ahead of its root, m."""
    no_turn = torch.tensor([0.0, 0.0, 0.0, 1.0]).repeat(14, 1)
    pos, rot = Kinematics(HUMANOID).forward(torch.zeros(3), no_turn[0], no_turn)
    points = surface_points(HUMANOID).world(pos, rot)
    return float(points[points[:, 2] < points[:, 2].min() + 0.01, 0].max())


def test_contact_match_by_hand():
    # two frames, two bodies of interest: 3 of 4 agree
    contacts = np.array([[1, 0, 9], [1, 1, 9]], dtype=float)
    labels = np.array([[0.9, 0.2, 0], [0.1, 0.6, 0]])
    assert contact_match(contacts, labels, (0, 1)) == 0.75


@pytest.mark.parametrize(
    ("change", "flaw"),
    [
        ({}, None),
        ({"errors": {"root_pos": 0.5}}, "tracking error: mean root_pos is 0.50 m, more than 0.4 m"),
        ({"errors": {"root_rot": 0.7}}, "tracking error: mean root_rot is 0.70 rad, more than 0.6 rad"),
        ({"errors": {"body_pos": 0.5}}, "tracking error: mean body_pos is 0.50 m, more than 0.3 m"),
        ({"match": 0.4}, "contacts: 40% agree with the reference, less than 50%"),
        # 18 m/s / 30 Hz = 0.6 m per frame
        ({"speed": 18.0}, "teleport: the root moves 0.60 m in one frame, more than 0.5 m"),
        (
            {"speed": 6.0, "limits": {"max_speed": 5.0}},
            "too fast: the root moves at 6.0 m/s, more than 5 m/s",
        ),
        # hands swing sideways, 0.3 * 2 pi rad/s at 0.55 m from the shoulder: (36 + 1.04^2)^0.5 m/s
        (
            {"speed": 6.0, "limits": {"max_body_speed": 5.5}},
            "too fast: a body moves at 6.1 m/s, more than 5.5 m/s",
        ),
        # 29 frames of 6 m/s / 30 Hz are 5.8 m from x = 0; the terrain of 12 cells ends at -0.8 + 11 * 0.4 + 0.2 = 3.8
        ({"speed": 6.0}, "off the terrain: the root is 2.00 m beyond its border, more than 0.4 m"),
        # 10 cm lower than the soles stand at z = 0
        ({"sink": 0.1}, "penetration: 0.100 m inside the ground, more than 0.03 m"),
    ],
    ids=[
        "none",
        "root_pos",
        "root_rot",
        "body_pos",
        "contacts",
        "teleport",
        "root",
        "body",
        "terrain",
        "depth",
    ],
)
def test_each_flaw_is_named(change, flaw):
    clip = make_clip(30, speed=change.get("speed", 0.0))
    clip = attrs.evolve(clip, root_pos=clip.root_pos - [0, 0, change.get("sink", 0.0)])
    config = QualityConfig(**change.get("limits", {}))
    found = first_flaw(
        METER(clip, clip.terrain), clip.fps, change.get("errors", {}), change.get("match", 1.0), config
    )
    assert (found and found.text.partition(" (")[0]) == flaw


def test_a_flaw_names_the_worst_frame():
    # 20 cm deep in frame 12 of 30 Hz: 0.40 s
    clip = make_clip(30)
    root_pos = clip.root_pos.copy()
    root_pos[10:20, 2] -= 0.1
    root_pos[12, 2] -= 0.1
    clip = attrs.evolve(clip, root_pos=root_pos)
    found = first_flaw(METER(clip, clip.terrain), clip.fps, {}, 1.0, QualityConfig())
    assert found.text == ("penetration: 0.200 m inside the ground, more than 0.03 m (0.40 s after its start)")


@pytest.mark.parametrize("name", [field.name for field in attrs.fields(QualityConfig)])
def test_every_limit_can_be_switched_off(name):
    # a clip with every flaw; with one limit alone in force it is named, with none it is fit
    clip = make_clip(30, speed=30.0)
    clip = attrs.evolve(clip, root_pos=clip.root_pos - [0, 0, 0.1])
    errors = {"root_pos": 9.0, "root_rot": 9.0, "body_pos": 9.0}
    off = QualityConfig(**{field.name: None for field in attrs.fields(QualityConfig)})
    alone = attrs.evolve(off, **{name: getattr(QualityConfig(), name)})
    measures = METER(clip, clip.terrain)
    assert first_flaw(measures, clip.fps, errors, 0.0, off) is None
    assert first_flaw(measures, clip.fps, errors, 0.0, alone) is not None


def test_depth_is_that_of_the_soles_in_a_step():
    # fully over the step the soles are 5 cm inside the ground; before it they stand on it
    clip = over_a_step()
    depth = METER(clip, clip.terrain).depth
    assert depth[:40].max() < 1e-5
    assert depth.max() == pytest.approx(0.05, abs=1e-5)


def test_frames_are_unfit_from_where_a_toe_is_three_centimeters_inside_a_step():
    # the side of the step is at x = 1.8 m; 3 cm behind it the nearest air is 3 cm away
    clip = over_a_step()
    unfit = rejected_frames(METER(clip, clip.terrain), {}, QualityConfig())
    expected = int(np.floor((1.83 - toe()) * 30)) + 1
    assert int(unfit.argmax()) == expected


def test_unfit_are_single_frames_off_the_reference():
    clip = make_clip(5)
    errors = {"root_pos": np.array([0, 0.5, 0, 0, 0.39]), "dof_vel": np.full(5, 99.0)}
    unfit = rejected_frames(METER(clip, clip.terrain), errors, QualityConfig())
    assert unfit.tolist() == [False, True, False, False, False]


@pytest.mark.parametrize(
    ("good", "run"),
    [
        ([], (0, 0)),
        ([0, 0], (0, 0)),
        ([1, 0, 1, 1, 0], (2, 4)),
        ([1, 1, 0, 1, 1], (0, 2)),
        ([0, 1, 1], (1, 3)),
    ],
)
def test_longest_run_by_hand(good, run):
    assert longest_run(np.array(good, dtype=bool)) == run


def test_a_followed_motion_that_sinks_in_is_kept_up_to_there():
    clip = over_a_step()
    made, miss = judge(clip, make_trial(clip), min_partial_s=1.0)
    assert miss.reason == "penetration"
    assert miss.text.startswith("test followed it, penetration: 0.050 m inside the ground")
    assert made.kept == "partial"
    assert made.clip.num_frames == int(np.floor((1.83 - toe()) * 30)) + 1
    assert made.clip.provenance.scores["max_penetration_m"] <= 0.03


def test_a_part_that_begins_later_keeps_the_steps_that_lead_to_it():
    # sunk into the ground for the first 10 of 100 frames
    clip = make_clip(100)
    root_pos = clip.root_pos.copy()
    root_pos[:10, 2] -= 0.1
    clip = attrs.evolve(clip, root_pos=root_pos)
    made, _ = judge(clip, make_trial(clip))
    assert (made.execution.lead_in, made.clip.num_frames) == (10, 90)
    assert len(made.execution.dof_target) == 99
    assert made.clip.provenance.notes["start_s"] == pytest.approx(10 / 30)
    assert np.array_equal(made.execution.root_pos, root_pos[0])


def test_states_that_are_not_finite_never_become_a_clip():
    clip = make_clip(100)
    root_pos = clip.root_pos.copy()
    root_pos[70:] = np.nan
    made, miss = judge(clip, make_trial(clip, root_pos=root_pos))
    assert (miss.reason, made.clip.num_frames) == ("not finite", 70)


def test_states_that_the_simulator_disowns_never_become_a_clip():
    clip = make_clip(100)
    made, _ = judge(clip, make_trial(clip, sound=np.arange(100) < 70))
    assert made.clip.num_frames == 70


def test_a_part_without_contact_agreement_is_not_kept():
    clip = make_clip(100)
    force = 100.0 * (1.0 - clip.contacts)
    made, miss = judge(clip, make_trial(clip, success=False, force=force))
    assert made is None
    assert miss.reason == "lost"


def test_level_ground_is_written_where_the_reference_had_none():
    clip = make_clip(40, terrain=None)
    made, miss = judge(clip, make_trial(clip))
    assert miss is None
    assert (made.clip.terrain.height == 0).all()
