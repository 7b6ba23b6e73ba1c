"""What every simulator promises: the same physics, copies that do not touch, divergence that is seen.

Use::

    class TestMine(SimulatorContract):
        @pytest.fixture
        def make(self):
            return lambda: MySimulator(MyConfig(), device="cpu", threads=1)

Something that moves characters without physics can be held to `SimulatorInterfaceContract` alone.

Tolerances. A state that is reset reads back to 1e-5 m, 1e-3 rad and 1e-4 of its velocities (single precision).
Free fall: 0.02 m in half a second, what integration at 120 Hz or finer may add. A flight turned about the vertical
axis: 2 mm after 8 control steps. A servo in flight: 0.12 rad from its target after 0.27 s, and no more on joints that
only recoil. A standing body: 2 cm in height, 0.1 rad in any joint, a quarter of its weight in the force on its
feet. A copy beside other copies than before: the same bits; alone, 1e-5 m after 10 control steps (0.2 micrometers were
measured on a processor whose vectorized functions round differently in batches of another size).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pytest
import torch

from parc_core.interfaces import CAPABILITIES, BodyState, CharacterState, Scene, Simulator
from parc_motion.errors import DataError, ShapeError
from parc_motion.kinematics import Kinematics
from parc_motion.kinematics import rotations as rot
from parc_motion.skeletons import JointKind, load_skeleton
from parc_motion.terrains import Terrain
from parc_testing.builders import STANDING_HEIGHT, make_terrain

__all__ = ["SimulatorContract", "SimulatorInterfaceContract", "character_state"]

_SKELETON = load_skeleton("humanoid")
_KIN = Kinematics(_SKELETON)
_LEVEL = make_terrain((20, 20))


def character_state(
    count: int, *, height: float = STANDING_HEIGHT, dof: torch.Tensor | None = None
) -> CharacterState:
    """Characters at rest, straight unless `dof` ``[count, D]`` bends them, roots above the world's origin."""
    dof = torch.zeros(count, _SKELETON.num_dofs) if dof is None else dof
    zero = torch.zeros(count, 3)
    return CharacterState(
        root_pos=torch.tensor([0.0, 0.0, height]).repeat(count, 1),
        root_rot=torch.tensor([0.0, 0.0, 0.0, 1.0]).repeat(count, 1),
        joint_rot=_KIN.dof_to_joint_rot(dof),
        root_vel=zero,
        root_ang_vel=zero.clone(),
        dof_vel=torch.zeros(count, _SKELETON.num_dofs),
    )


def _replace(state: CharacterState, **fields: torch.Tensor) -> CharacterState:
    values = {name: getattr(state, name) for name in CharacterState.__annotations__}
    return CharacterState(**{**values, **fields})


def _dof_names() -> list[str]:
    names = []
    for joint in _SKELETON.joints:
        names += [f"{joint.name}_{axis}" for axis in "xyz"] if joint.kind is JointKind.BALL else []
        names += [joint.name] if joint.kind is JointKind.HINGE else []
    return names


class SimulatorInterfaceContract:
    """Tests that need no physics; a subclass gives the fixture `make`, which makes new simulators."""

    @pytest.fixture
    def make(self) -> Callable[[], Simulator]:
        """A callable that returns a new simulator, not yet built."""
        raise NotImplementedError

    @pytest.fixture
    def start(self, make: Callable[[], Simulator]) -> Iterator[Callable[..., Simulator]]:
        """``start(state, terrains)``: a simulator with one environment per row of the state, reset to it."""
        made: list[Simulator] = []

        def build(state: CharacterState, terrains: Sequence[Terrain] = (_LEVEL,)) -> Simulator:
            count = len(state.root_pos)
            sim = make()
            made.append(sim)
            if len(terrains) > 1 and "one_world" in sim.capabilities:
                pytest.skip("this simulator has one world; the tracking environment lays terrains out on it")
            sim.build(Scene(skeleton=_SKELETON, terrains=terrains, num_envs=count))
            sim.reset(torch.arange(count), state)
            return sim

        yield build
        for sim in made:
            sim.close()

    def test_capabilities_exist(self, make):
        assert make().capabilities <= CAPABILITIES

    def test_reset_state_reads_back(self, start):
        state = _random_state(3)
        got = start(state).read()
        body_pos, body_rot = _KIN.forward(state.root_pos, state.root_rot, state.joint_rot)
        assert torch.allclose(got.body_pos, body_pos, atol=1e-5)
        assert rot.angle_between(got.body_rot, body_rot).max() < 1e-3
        assert rot.angle_between(got.joint_rot, state.joint_rot).max() < 1e-3
        assert torch.allclose(got.root_vel, state.root_vel, atol=1e-4)
        assert torch.allclose(got.root_ang_vel, state.root_ang_vel, atol=1e-4)
        assert torch.allclose(got.dof_vel, state.dof_vel, atol=1e-4)

    def test_body_velocities_are_those_of_the_body_origins(self, start):
        state = _random_state(4)
        got = start(state).read()
        # reference: move the state along its velocities for a moment and difference the kinematics
        dt = 1e-3
        moved_root = rot.multiply(rot.expmap_to_quat(state.root_ang_vel * dt), state.root_rot)
        turn = _KIN.dof_to_joint_rot(state.dof_vel * dt)
        ahead, _ = _KIN.forward(
            state.root_pos + state.root_vel * dt, moved_root, rot.multiply(state.joint_rot, turn)
        )
        here, _ = _KIN.forward(state.root_pos, state.root_rot, state.joint_rot)
        assert torch.allclose(got.body_vel, (ahead - here) / dt, atol=0.05)

    def test_envs_do_not_touch_each_other(self, start):
        state, other = _random_state(4, height=1.1), _random_state(4, height=1.0, seed=11)
        together = start(state)
        _step(together, 10)
        got = together.read().body_pos
        for i in range(4):
            rows = [other if j != i else state for j in range(4)]
            mixed = start(_joined([_rows(row, [j]) for j, row in enumerate(rows)]))
            _step(mixed, 10)
            assert torch.equal(mixed.read().body_pos[i], got[i])
            alone = start(_rows(state, [i]))
            _step(alone, 10)
            # vectorized functions may differ in the last bit between batches of different size
            assert torch.allclose(alone.read().body_pos[0], got[i], rtol=0, atol=1e-5)

    def test_a_step_of_some_envs_leaves_the_others_where_they_are(self, start):
        sim = start(_random_state(3))
        alone = start(_random_state(3))
        before = sim.read().body_pos
        sim.step(torch.tensor([0, 2]))
        alone.step()
        after = sim.read().body_pos
        assert torch.equal(after[1], before[1])
        assert torch.equal(after[[0, 2]], alone.read().body_pos[[0, 2]])
        assert not torch.isclose(after[[0, 2], 0], before[[0, 2], 0]).all(dim=-1).any()

    def test_reset_forgets_what_was_before(self, start):
        state = _random_state(2, height=1.1)
        fresh = start(state)
        _step(fresh, 10)
        used = start(_random_state(2, height=0.9, seed=9))
        _step(used, 7)
        used.reset(torch.tensor([1, 0]), _rows(state, [1, 0]))
        _step(used, 10)
        assert torch.equal(used.read().body_pos, fresh.read().body_pos)

    def test_nan_is_seen_and_does_not_spread(self, start):
        state = _random_state(3, height=1.1)
        sound = start(state)
        _step(sound, 5)
        vel = state.root_vel.clone()
        vel[1, 0] = float("nan")
        sim = start(_replace(state, root_vel=vel))
        _step(sim, 5)
        got = sim.read()
        assert got.finite.tolist() == [True, False, True]
        assert torch.equal(got.body_pos[[0, 2]], sound.read().body_pos[[0, 2]])
        assert (sim.num_diverged, sound.num_diverged) == (1, 0)

    def test_targets_that_are_nan_stop_their_own_env_at_once(self, start):
        state = _random_state(3, height=1.1)
        targets = 0.2 * torch.randn(3, _SKELETON.num_dofs, generator=torch.Generator().manual_seed(2))
        sound, sim = start(state), start(state)
        sound.set_targets(targets)
        sim.set_targets(targets)
        _step(sound, 2)
        _step(sim, 2)
        broken = targets.clone()
        broken[1, 5] = float("nan")
        sim.set_targets(broken)
        assert _step(sim, 1).finite.tolist() == [True, False, True]
        sim.set_targets(targets)  # sound targets do not bring it back
        got = _step(sim, 3)
        assert got.finite.tolist() == [True, False, True]
        assert torch.equal(got.body_pos[[0, 2]], _step(sound, 4).body_pos[[0, 2]])
        assert sim.num_diverged == 1

    def test_a_diverged_env_can_be_reset(self, start):
        state = character_state(2)
        sim = start(_replace(state, root_vel=torch.full((2, 3), float("nan"))))
        _step(sim, 1)
        sim.reset(torch.tensor([0]), _rows(state, [0]))
        _step(sim, 3)
        got = sim.read()
        assert got.finite.tolist() == [True, False]
        assert float(got.root_pos[0, 2]) == pytest.approx(STANDING_HEIGHT, abs=0.02)

    def test_rollout_gives_what_stepping_gives(self, start):
        terrains = [_flat(0.0), _flat(0.2)]
        sim = start(_random_state(2, height=1.2), terrains)
        if "rollout" not in sim.capabilities:
            pytest.skip("this simulator has no capability 'rollout'")
        sim.set_terrains(torch.arange(2), torch.tensor([0, 1]))
        sim.reset(torch.arange(2), _random_state(2, height=1.2))
        _step(sim, 3)
        targets = 0.2 * torch.randn(2, 3, 6, _SKELETON.num_dofs, generator=torch.Generator().manual_seed(1))
        saved = sim.save_state(torch.arange(2))
        before = sim.read()
        result = sim.rollout(saved, 3, targets.flatten(0, 1))
        assert torch.equal(sim.read().body_pos, before.body_pos)  # the envs are left alone
        assert bool(result.finite.all())
        for step in range(6):
            sim.set_targets(targets[:, 2, step])
            sim.step()
            got = sim.read()
            assert torch.allclose(result.root_pos[2::3, step], got.root_pos, atol=1e-6)
            assert torch.allclose(result.joint_rot[2::3, step], got.joint_rot, atol=1e-6)
            assert torch.allclose(result.root_vel[2::3, step], got.root_vel, atol=1e-4)
            assert torch.allclose(result.root_ang_vel[2::3, step], got.root_ang_vel, atol=1e-4)
            assert torch.allclose(result.dof_vel[2::3, step], got.dof_vel, atol=1e-4)

    def test_rollout_can_be_called_with_fewer_and_other_states(self, start):
        sim = start(_random_state(3, height=1.2), [_flat(0.0), _flat(0.2)])
        if "rollout" not in sim.capabilities:
            pytest.skip("this simulator has no capability 'rollout'")
        targets = torch.zeros(1, 3, 4, _SKELETON.num_dofs).repeat(3, 1, 1, 1)
        full = sim.rollout(sim.save_state(torch.arange(3)), 3, targets.flatten(0, 1))
        one = sim.rollout(sim.save_state(torch.tensor([2])), 2, targets[2, :2])
        assert torch.equal(one.root_pos, full.root_pos[6:8])

    def test_wrong_shapes_and_ids_are_refused(self, start):
        sim = start(character_state(2))
        with pytest.raises(ShapeError):
            sim.set_targets(torch.zeros(2, 3))
        with pytest.raises(DataError):
            sim.set_terrains(torch.tensor([0]), torch.tensor([1]))

    def test_close_may_be_called_twice(self, start):
        sim = start(character_state(1))
        sim.close()
        sim.close()


class SimulatorContract(SimulatorInterfaceContract):
    """Tests of interface and physics; a subclass gives the fixture `make`, which makes new simulators."""

    def test_free_fall_loses_height_by_half_g_t_squared(self, start):
        sim = start(character_state(1, height=6.0))
        before = sim.read().root_pos
        _step(sim, 15)
        # 0.5 s: 0.5 * 9.81 * 0.25 = 1.226 m; integration at 120 Hz adds up to g t dt / 2 = 0.020 m
        fallen = float((before - sim.read().root_pos)[0, 2])
        assert 1.20 < fallen < 1.26

    def test_falling_body_has_velocity_g_t(self, start):
        sim = start(character_state(1, height=6.0))
        _step(sim, 15)
        assert float(sim.read().root_vel[0, 2]) == pytest.approx(-4.905, abs=0.06)

    def test_yaw_turns_the_result_with_it(self, start):
        state = _replace(
            character_state(2, height=1.3), root_vel=torch.tensor([[1.0, 0.5, 0.0]]).repeat(2, 1)
        )
        turn = rot.yaw_quat(torch.tensor([0.0, 1.1]))
        turned = _replace(state, root_rot=turn, root_vel=rot.rotate(turn, state.root_vel))
        sim = start(turned)
        _step(sim, 8)
        got = sim.read()
        back = rot.rotate(rot.inverse(turn)[:, None].expand(-1, _SKELETON.num_bodies, -1), got.body_pos)
        assert torch.allclose(back[0], back[1], atol=2e-3)

    def test_every_dof_moves_its_own_joint_the_right_way(self, start):
        count = _SKELETON.num_dofs
        # one environment per dof: 0.3 rad, or -0.3 where the joint cannot
        target = torch.diag(torch.where(_KIN.dof_upper > 0.3, 0.3, -0.3))
        assert ((_KIN.dof_lower < target) & (target < _KIN.dof_upper)).diagonal().all()
        sim = start(character_state(count, height=20.0))
        sim.set_targets(target)
        got = _KIN.joint_rot_to_dof(_step(sim, 8).joint_rot)
        # the bodies fly, so nothing but the servo acts on its joint; recoil moves the other joints a little
        off = (got - target).abs()
        wrong = {_dof_names()[i]: got[i].tolist() for i in range(count) if not bool((off[i] < 0.12).all())}
        assert wrong == {}

    def test_servos_hold_a_pose_while_standing(self, start):
        dof = torch.zeros(1, _SKELETON.num_dofs)
        sim = start(character_state(1, dof=dof))
        sim.set_targets(dof)
        _step(sim, 15)
        got = sim.read()
        assert _KIN.joint_rot_to_dof(got.joint_rot).abs().max() < 0.1
        assert float(got.root_pos[0, 2]) == pytest.approx(STANDING_HEIGHT, abs=0.02)

    def test_standing_body_is_carried_by_its_feet(self, start):
        sim = start(character_state(1))
        sim.set_targets(torch.zeros(1, _SKELETON.num_dofs))
        _step(sim, 12)
        state = sim.read()
        force = state.contact_force[0]
        # 50.05 kg * 9.81 m/s^2 = 491 N, up, on the feet
        feet = list(_SKELETON.feet)
        assert float(force[feet, 2].sum()) == pytest.approx(491.0, rel=0.25)
        others = [b for b in range(_SKELETON.num_bodies) if b not in feet]
        assert force[others].abs().max() < 1.0
        assert torch.allclose(state.ground_force[0, feet], force[feet], atol=1e-3)

    def test_feet_rest_on_a_box(self, start):
        height = torch.zeros(12, 12)
        height[1:4, 1:4] = 0.6  # the world's origin lies on cell (2, 2)
        sim = start(character_state(1, height=STANDING_HEIGHT + 0.6), [make_terrain(height=height.numpy())])
        sim.set_targets(torch.zeros(1, _SKELETON.num_dofs))
        _step(sim, 12)
        assert float(sim.read().root_pos[0, 2]) == pytest.approx(STANDING_HEIGHT + 0.6, abs=0.02)

    def test_legs_that_press_against_each_other_touch(self, start):
        names, dof = _dof_names(), torch.zeros(1, _SKELETON.num_dofs)
        sim = start(character_state(1, height=6.0))  # in the air: there is nothing else to touch
        dof[0, names.index("right_hip_x")], dof[0, names.index("left_hip_x")] = 0.3, -0.3
        sim.set_targets(dof)
        for _ in range(8):
            sim.step()
        state = sim.read()
        force = state.contact_force[0]
        right, left = (
            force[[b for b, name in enumerate(_SKELETON.body_names) if name.startswith(side)]].sum(dim=0)
            for side in ("right", "left")
        )
        # the left leg pushes the right one to the right, y is to the left; measured 147 N
        assert right[1] < -10.0
        assert torch.allclose(right, -left, atol=0.01 * float(right.norm()))
        assert not state.ground_force.any(), "what touches the body itself is not the ground"

    def test_each_env_stands_on_its_own_terrain(self, start):
        heights = [0.0, 0.3, -0.5]
        terrains = [_flat(height) for height in heights]
        sim = start(character_state(3), terrains)
        assert _standing_heights(sim, [0, 1, 2]) == pytest.approx(heights, abs=0.02)

    def test_a_terrain_can_be_changed_for_some_envs(self, start):
        terrains = [_flat(height) for height in (0.0, 0.3, -0.5)]
        sim = start(character_state(3), terrains)
        _standing_heights(sim, [0, 1, 2])
        before = sim.read().root_pos[0].clone()
        sim.set_terrains(torch.tensor([2]), torch.tensor([1]))
        lifted = _replace(character_state(1), root_pos=torch.tensor([[0.0, 0.0, STANDING_HEIGHT + 0.3]]))
        sim.reset(torch.tensor([2]), lifted)
        assert torch.equal(sim.read().root_pos[0], before)
        _step(sim, 10)
        feet = sim.read().root_pos[:, 2] - STANDING_HEIGHT
        assert feet.tolist() == pytest.approx([0.0, 0.3, 0.3], abs=0.02)

    def test_ground_goes_on_past_the_terrain(self, start):
        state = character_state(1)
        state = _replace(state, root_pos=torch.tensor([[-3.0, -3.0, STANDING_HEIGHT]]))
        sim = start(state, [make_terrain((4, 4))])
        sim.set_targets(torch.zeros(1, _SKELETON.num_dofs))
        _step(sim, 10)
        assert float(sim.read().root_pos[0, 2]) == pytest.approx(STANDING_HEIGHT, abs=0.02)


def _flat(height: float) -> Terrain:
    return make_terrain(height=torch.full((6, 6), height).numpy())


def _rows(state: CharacterState, rows: list[int]) -> CharacterState:
    return CharacterState(**{name: getattr(state, name)[rows] for name in CharacterState.__annotations__})


def _joined(states: list[CharacterState]) -> CharacterState:
    fields = CharacterState.__annotations__
    return CharacterState(**{name: torch.cat([getattr(state, name) for state in states]) for name in fields})


def _random_state(count: int, *, height: float = 3.0, seed: int = 5) -> CharacterState:
    g = torch.Generator().manual_seed(seed)
    lower, upper = _KIN.dof_lower, _KIN.dof_upper
    share = 0.25 + 0.5 * torch.rand(count, _SKELETON.num_dofs, generator=g)
    root_rot = rot.expmap_to_quat(0.6 * torch.randn(count, 3, generator=g))
    return _replace(
        character_state(count, height=height, dof=lower + share * (upper - lower)),
        root_rot=root_rot,
        root_vel=torch.randn(count, 3, generator=g),
        root_ang_vel=2.0 * torch.randn(count, 3, generator=g),
        dof_vel=2.0 * torch.randn(count, _SKELETON.num_dofs, generator=g),
    )


def _standing_heights(sim: Simulator, terrain_ids: list[int]) -> list[float]:
    """Put one character on each terrain, let it stand a third of a second, and say how high its soles are."""
    heights = torch.tensor([0.0, 0.3, -0.5])[terrain_ids]
    ids = torch.arange(len(terrain_ids))
    sim.set_terrains(ids, torch.tensor(terrain_ids))
    state = character_state(len(terrain_ids))
    lift = torch.stack([0 * heights, 0 * heights, heights], dim=-1)
    sim.reset(ids, _replace(state, root_pos=state.root_pos + lift))
    sim.set_targets(torch.zeros(len(terrain_ids), _SKELETON.num_dofs))
    _step(sim, 10)
    return (sim.read().root_pos[:, 2] - STANDING_HEIGHT).tolist()


def _step(sim: Simulator, count: int) -> BodyState:
    for _ in range(count):
        sim.step()
    return sim.read()
