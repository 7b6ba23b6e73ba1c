"""The synthesized motions are clean, and physically plausible enough to be tracked."""

from __future__ import annotations

import time
from collections.abc import Iterator

import attrs
import numpy as np
import pytest
import torch

from parc_core.errors import ConfigError
from parc_core.interfaces import SeedStreams
from parc_data.procedural.posture import body_of
from parc_data.procedural.source import ProceduralConfig, ProceduralSource
from parc_motion.clips import MotionClip
from parc_motion.kinematics import surface_points
from parc_motion.skeletons import load_skeleton

FEET = (11, 14)  # right, left
SKELETON = load_skeleton("humanoid")
BODY = body_of(SKELETON)
SURFACE = surface_points(SKELETON, dtype=torch.float64)
SOLE_TOUCHES = 0.004  # m above the ground
MAX_CPU_S = 20.0
GRAVITY = np.array([0.0, 0.0, 9.81])  # m/s^2, upwards: what the ground has to give


@attrs.frozen(eq=False)
class Posed:
    """A clip with its bodies, surface points and center of mass."""

    clip: MotionClip
    body_pos: np.ndarray  # [T, 15, 3] m
    points: np.ndarray  # [T, 304, 3] m
    height: np.ndarray  # [T, 304] m above the ground below
    dof_pos: torch.Tensor  # [T, 28] rad
    center: np.ndarray  # [T, 3] m

    def sole_height(self) -> np.ndarray:
        """Lowest point of each foot over the ground, ``[T, 2]`` m."""
        body = SURFACE.body.numpy()
        return np.stack([self.height[:, body == foot].min(axis=1) for foot in FEET], axis=-1)


def pose(clip: MotionClip) -> Posed:
    """The clip posed by forward kinematics in double precision."""
    arrays = [torch.tensor(a.astype(float)) for a in (clip.root_pos, clip.root_rot, clip.joint_rot)]
    body_pos, body_rot = BODY.kinematics.forward(*arrays)
    points = SURFACE.world(body_pos, body_rot).numpy()
    return Posed(
        clip=clip,
        body_pos=body_pos.numpy(),
        points=points,
        height=points[..., 2] - clip.terrain.height_at(points[..., :2]),
        dof_pos=BODY.kinematics.joint_rot_to_dof(arrays[2]),
        center=BODY.center(*arrays).numpy(),
    )


def make_source(**settings: object) -> ProceduralSource:
    return ProceduralSource(ProceduralConfig(**settings), skeleton=SKELETON, seeds=SeedStreams(0))


def runs(mask: np.ndarray) -> Iterator[slice]:
    """The runs of True in a mask."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(int), [0]])))
    return (slice(a, b) for a, b in edges.reshape(-1, 2))


def acceleration(x: np.ndarray, fps: float) -> np.ndarray:
    """Second difference, ``[T - 2, 3]``."""
    return (x[2:] - 2 * x[1:-1] + x[:-2]) * fps**2


@pytest.fixture(scope="module")
def timed() -> tuple[list[MotionClip], float]:
    started = time.process_time()
    clips = list(make_source().clips())
    return clips, time.process_time() - started


@pytest.fixture(scope="module")
def posed(timed: tuple[list[MotionClip], float]) -> list[Posed]:
    return [pose(clip) for clip in timed[0]]


def test_the_set_covers_every_kind_of_motion_quickly(timed: tuple[list[MotionClip], float]) -> None:
    clips, cpu_s = timed
    assert 12 <= len(clips) <= 20
    assert {clip.motion_class for clip in clips} == {
        "walk", "run", "turn", "start_stop", "stairs", "box", "gap",
    }  # fmt: skip
    assert all(2.0 <= clip.length <= 5.0 and clip.fps == 30.0 for clip in clips)
    assert cpu_s < MAX_CPU_S


def test_every_clip_has_a_path_and_ground_around_it(posed: list[Posed]) -> None:
    for p in posed:
        terrain, xy = p.clip.terrain, p.clip.root_pos[:, :2]
        half = 0.5 * terrain.cell
        assert (xy.min(0) - (terrain.origin_xy - half) >= 1.6).all(), p.clip.name
        assert (terrain.max_xy + half - xy.max(0) >= 1.6).all(), p.clip.name
        assert p.clip.path.points[:, 2] == pytest.approx(terrain.height_at(p.clip.path.points[:, :2])), (
            p.clip.name
        )


def test_standing_soles_slide_less_than_a_centimeter(posed: list[Posed]) -> None:
    for p in posed:
        for foot in FEET:
            sole = p.points[:, SURFACE.body.numpy() == foot]
            for run in runs(p.clip.contacts[:, foot] > 0.5):
                slide = np.linalg.norm(sole[run] - sole[run][:1], axis=-1).max()
                assert slide < 0.01, f"{p.clip.name}: foot {foot} slides {slide:.4f} m in frames {run}"


def test_labeled_feet_touch_the_ground(posed: list[Posed]) -> None:
    for p in posed:
        gap = np.where(p.clip.contacts[:, FEET] > 0.5, np.abs(p.sole_height()), 0.0)
        assert gap.max() < SOLE_TOUCHES, p.clip.name


def test_no_surface_point_is_a_centimeter_deep(posed: list[Posed]) -> None:
    for p in posed:
        assert p.height.min() > -0.01, f"{p.clip.name}: {p.height.min():.4f} m"


def test_joints_stay_inside_their_limits(posed: list[Posed]) -> None:
    kin = BODY.kinematics
    for p in posed:
        over = torch.maximum(p.dof_pos - kin.dof_upper, kin.dof_lower - p.dof_pos).amax(dim=0)
        assert over.max() <= 0.0, f"{p.clip.name}: dof {int(over.argmax())} by {float(over.max()):.3f} rad"


def test_bodies_move_without_jerks(posed: list[Posed]) -> None:
    for p in posed:
        third = np.diff(p.body_pos, n=3, axis=0) * p.clip.fps**3
        jerk = np.linalg.norm(third, axis=-1).max()
        assert jerk < 11666.0, f"{p.clip.name}: {jerk:.0f} m/s^3"


def test_the_pelvis_is_smooth(posed: list[Posed]) -> None:
    for p in posed:
        jerk = np.linalg.norm(np.diff(p.clip.root_pos, n=3, axis=0) * p.clip.fps**3, axis=-1).max()
        assert jerk < 1500.0, f"{p.clip.name}: {jerk:.0f} m/s^3"


def test_flights_are_ballistic(posed: list[Posed]) -> None:
    flights = 0
    for p in posed:
        for run in runs((p.sole_height() > SOLE_TOUCHES).all(axis=1)):
            if run.stop - run.start < 3:
                continue
            flights += 1
            error = acceleration(p.center[run], p.clip.fps) + GRAVITY
            assert np.abs(error).max() < 1.0, f"{p.clip.name}: {np.abs(error).max():.2f} m/s^2 in {run}"
            # what the errors add up to: m/s between take-off and landing
            assert np.abs(error.sum(axis=0)).max() / p.clip.fps < 0.3, p.clip.name
    assert flights >= 8


def test_the_ground_force_acts_inside_the_standing_soles(posed: list[Posed]) -> None:
    # zero-moment point against the bounding box of the standing soles' points, 5 cm wider for heels in the air
    body = SURFACE.body.numpy()
    for p in posed:
        force = acceleration(p.center, p.clip.fps) + GRAVITY
        for t in range(1, p.clip.num_frames - 1):
            foot_ids = [foot for foot in FEET if p.clip.contacts[t, foot] > 0.5]
            if not foot_ids or force[t - 1, 2] < 2.0:
                continue
            sole = p.points[t][np.isin(body, FEET) & (p.height[t] < 0.012)]
            arm = p.center[t, 2] - sole[:, 2].mean()
            zmp = p.center[t, :2] - force[t - 1, :2] * arm / force[t - 1, 2]
            outside = np.maximum(sole[:, :2].min(0) - zmp, zmp - sole[:, :2].max(0)).max()
            assert outside < 0.05, f"{p.clip.name}: {outside:.3f} m outside at frame {t}"


def test_legs_do_not_pass_through_each_other(posed: list[Posed]) -> None:
    steps = np.linspace(0.0, 1.0, 12)[:, None]
    for p in posed:
        shins = [
            p.body_pos[:, None, a] + steps * (p.body_pos[:, b] - p.body_pos[:, a])[:, None]
            for a, b in ((10, 11), (13, 14))
        ]
        apart = np.linalg.norm(shins[0][:, :, None] - shins[1][:, None], axis=-1).min()
        assert apart > 0.10, f"{p.clip.name}: shins {apart:.3f} m apart; each has a radius of 0.05 m"


def test_knees_and_elbows_bend_forward_and_arms_hang(posed: list[Posed]) -> None:
    for p in posed:
        # hands lie below the shoulders; a bent knee has a positive angle, which puts it ahead of hip and ankle
        assert (p.body_pos[:, (5, 8), 2] < p.body_pos[:, (3, 6), 2]).all(), p.clip.name
        assert p.dof_pos[:, (17, 24)].min() > 0.0, p.clip.name


def test_variations_differ_and_keep_the_limits() -> None:
    clips = list(make_source(classes=("box",), variations=2).clips())
    names = {clip.name for clip in clips}
    assert {"box_up_50_0", "box_up_50_1"} <= names
    lengths = {clip.length for clip in clips if clip.name.startswith("box_up_30")}
    assert len(lengths) > 1
    kin = BODY.kinematics
    for clip in clips:
        p = pose(clip)
        over = torch.maximum(p.dof_pos - kin.dof_upper, kin.dof_lower - p.dof_pos).max()
        assert over <= 0.0, f"{clip.name}: {float(over):.3f} rad"
        assert p.height.min() > -0.01, clip.name


def test_another_seed_changes_only_the_variations() -> None:
    def clips(seed: int) -> list[MotionClip]:
        config = ProceduralConfig(classes=("gap",), variations=2)
        return list(ProceduralSource(config, skeleton=SKELETON, seeds=SeedStreams(seed)).clips())

    first, second = clips(1), clips(2)
    assert (first[0].root_pos == second[0].root_pos).all()
    assert first[1].root_pos[-1, 0] != second[1].root_pos[-1, 0]


def test_an_unknown_class_is_refused_with_the_list() -> None:
    with pytest.raises(ConfigError, match=r"classes are \['swim'\], expected some of walk, run, turn"):
        make_source(classes=("swim",))
