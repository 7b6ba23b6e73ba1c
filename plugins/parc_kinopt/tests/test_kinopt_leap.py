"""A leap over a gap whose take-off is 1 m/s too slow: who tracks it with and without the `ballistic` term.

A planner that looks 0.6 s ahead makes up for most slow take-offs by itself. It cannot where the flight is as long as
its foresight, the gap reaches from toe to heel and the far side is higher: then what is missing at take-off is more
than a leg gives in one push.
"""

from __future__ import annotations

import pathlib

import attrs
import numpy as np
import pytest
import torch

from parc_core.config import Use
from parc_core.interfaces import SeedStreams
from parc_core.plugins import Registry
from parc_kinopt.optimizer import KinematicOptimizer, KinoptConfig
from parc_motion.clips import MotionClip
from parc_motion.kinematics import Kinematics, surface_points
from parc_motion.kinematics import rotations as rot
from parc_motion.skeletons import load_skeleton
from parc_motion.terrains import Terrain

SKELETON = load_skeleton("humanoid")
RIGHT_FOOT, LEFT_FOOT = 11, 14
REAL = pathlib.Path(__file__).resolve().parents[4] / "shared" / "data" / "parc" / "TEASER_TERRAIN.pkl"
TAKE_OFF = 11  # first frame in the air of the real leap along -y
LANDING = 19  # first frame on its far side
LONGER = 12  # frames that its flight is made longer by
FARTHER = np.array([0.0, -2.2, 0.25])  # m, where the far side is moved to
LAND = LANDING + LONGER
NEEDED = [
    ("motion_source", "parc_ms"),
    ("simulator", "mujoco"),
    ("tracker_env", "deepmimic"),
    ("agent", "mpc"),
]


@pytest.fixture(scope="module")
def registry() -> Registry:
    found = Registry.discover()
    if not REAL.is_file():
        pytest.skip(f"the real motion {REAL} is not here")
    for kind, name in NEEDED:
        if name not in [item.provider.name for item in found.providers(kind)]:
            pytest.skip(f"{kind} '{name}' is not installed")
    return found


@pytest.fixture(scope="module")
def slow(registry) -> MotionClip:
    """The real leap made longer and honest, then with a take-off that is 1 m/s too slow, upward and forward."""
    config = registry.load_config_class("motion_source", "parc_ms")(path=str(REAL))
    use = Use(name="parc_ms", config=config)
    (clip,) = registry.create("motion_source", use, skeleton=SKELETON, seeds=SeedStreams(0)).clips()
    return _too_slow(_refined(_longer(clip.frames(0, 33))), np.array([0.0, -1.0, 1.0]))


def _longer(clip: MotionClip) -> MotionClip:
    before, after = TAKE_OFF - 1, LANDING
    time = np.concatenate(
        [np.arange(before), np.linspace(before, after, after - before + 1 + LONGER), np.arange(after + 1, 33)]
    )
    moved = np.clip((np.arange(len(time)) - before) / (LAND - before), 0.0, 1.0)[:, None] * FARTHER
    frame = np.minimum(time.astype(int), clip.num_frames - 2)
    share = torch.tensor(time - frame)

    def between(values: np.ndarray) -> torch.Tensor:
        a, b = (torch.tensor(values[frame + k], dtype=torch.float64) for k in (0, 1))
        return a + (b - a) * share.view(-1, *[1] * (a.ndim - 1))

    def turned(q: np.ndarray) -> np.ndarray:
        signs = np.sign((q[1:] * q[:-1]).sum(-1, keepdims=True)).cumprod(axis=0)
        return rot.normalize(between(np.concatenate([q[:1], q[1:] * signs]))).numpy()

    contacts = clip.contacts[np.round(time).astype(int)].copy()
    contacts[TAKE_OFF:LAND] = 0.0
    longer = attrs.evolve(
        clip,
        root_pos=between(clip.root_pos).numpy() + moved,
        root_rot=turned(clip.root_rot),
        joint_rot=turned(clip.joint_rot),
        contacts=contacts,
        touched=None,
    )
    return attrs.evolve(longer, terrain=_gap(longer, clip.terrain))


def _gap(clip: MotionClip, real: Terrain) -> Terrain:
    """Cells of 0.1 m: the real ground up to the toe, nothing from there to the heel, then the ground moved."""
    toe = _foot(clip, RIGHT_FOOT, TAKE_OFF - 3)[:, 1].min() - 0.01
    heel = _foot(clip, LEFT_FOOT, LAND)[:, 1].max() + 0.01
    low = np.floor(10 * (clip.root_pos[:, :2].min(axis=0) - 1.6)) / 10
    count = np.ceil(10 * (clip.root_pos[:, :2].max(axis=0) + 1.6 - low)).astype(int)
    x, y = (low[i] + 0.1 * np.arange(count[i]) for i in range(2))
    far = y - 0.05 < heel
    place = np.stack(np.meshgrid(x, np.where(far, y - FARTHER[1], y), indexing="ij"), axis=-1)
    height = np.maximum(real.height_at(place), -3.0) + np.where(far, FARTHER[2], 0.0)
    height[:, ~far & (y + 0.05 < toe)] = -3.0
    return Terrain(height=height, origin_xy=low, cell=0.1)


def _foot(clip: MotionClip, body: int, frame: int) -> np.ndarray:
    pose = (torch.tensor(a[[frame]]).double() for a in (clip.root_pos, clip.root_rot, clip.joint_rot))
    points = surface_points(SKELETON, dtype=torch.float64)
    place = points.world(*Kinematics(SKELETON, dtype=torch.float64).forward(*pose))
    return place[0, points.body == body].numpy()


def _too_slow(clip: MotionClip, speed: np.ndarray, push: int = 8) -> MotionClip:
    """A take-off and a landing that differ by `speed` ``[3]`` m/s from what the flight needs, at the same places."""
    t, flight = np.arange(clip.num_frames), LAND - TAKE_OFF
    before, air = np.clip(1 + (t - TAKE_OFF) / push, 0, 1), np.clip((t - TAKE_OFF) / flight, 0, 1)
    after = np.clip((t - LAND) / push, 0, 1)
    change = push * before**2 * (1 - before) - flight * air * (1 - air) + push * after * (1 - after) ** 2
    return attrs.evolve(clip, root_pos=clip.root_pos + np.outer(change / clip.fps, speed), touched=None)


def _refined(clip: MotionClip, **weights: float) -> MotionClip:
    config = KinoptConfig()
    config = attrs.evolve(config, weights=attrs.evolve(config.weights, **weights))
    return KinematicOptimizer(config, skeleton=SKELETON).refine([clip])[0].clip


def _followed(registry: Registry, clip: MotionClip, seeds: range) -> int:
    """With how many seeds the planner reaches the end in one attempt."""
    reached = 0
    for seed in seeds:
        simulator = registry.create("simulator", Use(name="mujoco"), device="cpu", threads=1)
        env = registry.create(
            "tracker_env",
            Use(name="deepmimic"),
            clips=[clip],
            weights=np.ones(1),
            simulator=simulator,
            num_envs=1,
            skeleton=SKELETON,
            rng=torch.Generator().manual_seed(0),
        )
        config = registry.load_config_class("agent", "mpc")(seed=seed, max_attempts=1)
        agent = registry.create("agent", Use(name="mpc", config=config), device="cpu")
        reached += round(agent.evaluate(env)["success_rate"])
        env.close()
    return reached


@pytest.mark.slow
def test_slow_leap_is_tracked_with_the_term_and_mostly_lost_without(registry, slow):
    """Planning differs in the last bit between processors, so single seeds do: the shares count.

    Of 15 seeds on one processor 15 were followed with the term and none without; on another, of 5 seeds, 5 and 2.
    """
    seeds = range(5)
    followed = _followed(registry, _refined(slow), seeds)
    without = _followed(registry, _refined(slow, ballistic=0.0), seeds)
    assert followed >= 4
    assert followed - without >= 2
