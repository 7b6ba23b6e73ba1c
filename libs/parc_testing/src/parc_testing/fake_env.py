"""A small tracking task whose best actions are known, for tests of agents without any physics.

A character of three bodies (a ball joint and a hinge, 4 dofs) waves its arm after sine curves. An action is
the servo target itself, divided by `ACTION_SCALE`; the servo reaches it at once, so the best action is the
reference of the next step, which is part of the observation. Zero actions soon lose the reference.
"""

from __future__ import annotations

import base64
import math
from typing import Any

import attrs
import numpy as np
import torch
from torch import Tensor

from parc_core.interfaces import (
    ActionSpec,
    BodyState,
    CharacterState,
    Done,
    ObservationGroup,
    Parallel,
    Reference,
    Scene,
    Step,
    TrackerEnv,
)
from parc_motion.kinematics import Kinematics
from parc_motion.skeletons import Geom, Joint, JointKind, Skeleton
from parc_testing.builders import make_terrain
from parc_testing.fake_simulator import FakeSimulator

__all__ = ["ACTION_SCALE", "FakeTrackerEnv", "make_arm_skeleton"]

ACTION_SCALE = 1.0  # rad per unit of action
_HZ = 30.0  # control steps per second
_FAIL_ERROR = 0.58  # rad, largest error of one dof that is still following
_EPISODE_STEPS = 45
_NOISE = 0.05  # rad, standard deviation of a dof at a perturbed start


def make_arm_skeleton() -> Skeleton:
    """A root with an upper arm (ball joint) and a forearm (hinge): 3 bodies, 2 joints, 4 dofs."""
    geoms = tuple(
        Geom(body=b, kind="sphere", pos=[0.1, 0, 0], rot=[0, 0, 0, 1], size=[0.05], density=1000.0)
        for b in range(3)
    )
    return Skeleton(
        id="arm",
        body_names=("base", "upper_arm", "forearm"),
        parents=(-1, 0, 1),
        offsets=np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 0.3], [0.3, 0.0, 0.0]]),
        joints=(
            Joint(
                name="shoulder",
                kind=JointKind.BALL,
                lower=[-2.0] * 3,
                upper=[2.0] * 3,
                kp=100.0,
                kd=10.0,
                gear=50.0,
            ),
            Joint(
                name="elbow",
                kind=JointKind.HINGE,
                axis=[0, 1, 0],
                lower=[-2.0],
                upper=[2.0],
                kp=50.0,
                kd=5.0,
                gear=50.0,
            ),
        ),
        geoms=geoms,
        key_bodies=(2,),
    )


class FakeTrackerEnv(TrackerEnv):
    """Sine curves to follow; the task is solved by a linear policy.

    Args:
        num_motions: curves of different speed; motion m is 1.5 s plus 0.2 s * m long.
        seed: of the starts that training draws.
    """

    data_parallel = True

    def __init__(self, num_envs: int = 32, num_motions: int = 3, seed: int = 0, device: str = "cpu") -> None:
        self.skeleton = make_arm_skeleton()
        self.num_envs, self.num_motions = num_envs, num_motions
        self.simulator, self.control_hz = FakeSimulator(device=device), _HZ
        self.simulator.build(
            Scene(skeleton=self.skeleton, terrains=(make_terrain(),), num_envs=num_envs, control_hz=_HZ)
        )
        self._kin = Kinematics(self.skeleton, device)
        self._rng = torch.Generator(device=device).manual_seed(seed)
        dofs = self.skeleton.num_dofs
        self.observation = (
            ObservationGroup(name="dof_error", size=dofs),
            ObservationGroup(name="target", size=dofs),
            ObservationGroup(name="contacts", size=1, normalize=False),
        )
        bound = torch.full((dofs,), 1.0, device=device)
        self.action = ActionSpec(lower=-bound, upper=bound, kind="absolute")
        self.motion_names = tuple(f"wave_{m}" for m in range(num_motions))
        index = torch.arange(num_motions, device=device)
        self.motion_lengths = 1.5 + 0.2 * index
        self._speed = 2.0 * math.pi * (0.4 + 0.2 * index)  # [M] rad/s
        self._phase = torch.arange(dofs, device=device) * 1.3  # [D] rad
        self.fail_rates = torch.ones(num_motions, device=device)
        self.motion_ids = torch.zeros(num_envs, dtype=torch.long, device=device)
        self.motion_times = torch.zeros(num_envs, device=device)
        self._steps = torch.zeros(num_envs, dtype=torch.long, device=device)
        self.active = torch.ones(num_envs, dtype=torch.bool, device=device)
        self._training, self._joint_noise = True, _NOISE

    def reset(self) -> Tensor:
        """Random motions, times on the frame grid."""
        self._training = True
        self.active[:] = True
        self._start_random(torch.arange(self.num_envs, device=self.motion_ids.device))
        return self._observe(self._dof_error())

    def playback(
        self, motion_ids: Tensor, start_times: Tensor, noise: torch.Generator | None = None
    ) -> Tensor:
        """Exact starts, or joints off by some hundredths of a radian; envs beyond the given ones idle."""
        self._training = False
        count = len(motion_ids)
        self.active = torch.arange(self.num_envs, device=motion_ids.device) < count
        self._start(torch.arange(count, device=motion_ids.device), motion_ids, start_times, noise)
        return self._observe(self._dof_error())

    def set_joint_noise(self, joint_noise: float) -> None:
        """Standard deviation of each dof at perturbed starts, rad."""
        self._joint_noise = joint_noise

    def step(self, action: Tensor) -> Step:
        """One control step; errors and reward are those of the dofs."""
        self.simulator.set_targets(self.dof_target(action))
        self.simulator.step()
        moving = self.active
        self.motion_times = self.motion_times + moving / _HZ
        self._steps += moving
        error = self._dof_error()
        lost = (error.abs() > _FAIL_ERROR).any(dim=-1)
        ended = self.motion_times >= self.motion_lengths[self.motion_ids] - 0.5 / _HZ
        done = torch.zeros(self.num_envs, dtype=torch.int8, device=error.device)
        done[ended] = int(Done.TIMEOUT if self._training else Done.SUCCESS)
        if self._training:
            done[self._steps >= _EPISODE_STEPS] = int(Done.TIMEOUT)
        done[lost] = int(Done.FAIL)
        done[~moving] = int(Done.NULL)
        reward = torch.exp(-4.0 * error.square().mean(dim=-1))
        final_obs = self._observe(error)
        over = (done != Done.NULL).nonzero().flatten()
        obs = self._after(over, done, final_obs)
        return Step(
            obs=obs,
            reward=reward,
            done=done,
            final_obs=final_obs,
            errors={"dof_pos": error.abs().mean(dim=-1)},
            reward_terms={"pose": reward},
        )

    def read(self) -> BodyState:
        """The simulated arms."""
        return self.simulator.read()

    def reference(self, motion_ids: Tensor, times: Tensor) -> Reference:
        """The curves; the base rests at the origin."""
        times = times.clamp_min(0.0).minimum(self.motion_lengths[motion_ids])
        dof = self._curve(motion_ids, times)
        joint_rot = self._kin.dof_to_joint_rot(dof)
        zero, n = torch.zeros(len(dof), 3, device=dof.device), len(dof)
        no_turn = torch.tensor([0.0, 0.0, 0.0, 1.0], device=dof.device).repeat(n, 1)
        body_pos, body_rot = self._kin.forward(zero, no_turn, joint_rot)
        angle = self._speed[motion_ids][:, None] * times[:, None] + self._phase
        return Reference(
            root_pos=zero,
            root_rot=no_turn,
            joint_rot=joint_rot,
            root_vel=zero.clone(),
            root_ang_vel=zero.clone(),
            dof_vel=0.6 * self._speed[motion_ids][:, None] * torch.cos(angle),
            contacts=torch.zeros(n, self.skeleton.num_bodies, device=dof.device),
            body_pos=body_pos,
            body_rot=body_rot,
        )

    def dof_target(self, action: Tensor) -> Tensor:
        """Scaled actions, kept within the action bounds."""
        return action.clamp(self.action.lower, self.action.upper) * ACTION_SCALE

    def action_for(self, dof_target: Tensor) -> Tensor:
        """Targets by the scale."""
        return dof_target / ACTION_SCALE

    def curriculum_state(self) -> dict[str, Any]:
        """Fail rates by name, and the generator."""
        rates = dict(zip(self.motion_names, self.fail_rates.tolist()))
        return {
            "fail_rates": rates,
            "rng": base64.b64encode(self._rng.get_state().numpy().tobytes()).decode(),
        }

    def load_curriculum(self, state: dict[str, Any]) -> None:
        """Rates of equal names, and the generator."""
        for m, name in enumerate(self.motion_names):
            self.fail_rates[m] = state["fail_rates"].get(name, 1.0)
        raw = np.frombuffer(base64.b64decode(state["rng"]), dtype=np.uint8).copy()
        self._rng.set_state(torch.from_numpy(raw))

    def synchronize(self, parallel: Parallel) -> None:
        """Mean fail rates of all processes."""
        parallel.sum_([self.fail_rates])
        self.fail_rates /= parallel.size

    def reseed(self, seed: int) -> None:
        """Draw other starts from now on."""
        self._rng.manual_seed(seed)

    def close(self) -> None:
        """Close the simulator."""
        self.simulator.close()

    def _after(self, over: Tensor, done: Tensor, final_obs: Tensor) -> Tensor:
        if len(over) == 0:
            return final_obs
        if not self._training:
            self.active = self.active & (done == Done.NULL)
            return final_obs
        lost = (done[over] == Done.FAIL).float()
        for m, fail in zip(self.motion_ids[over].tolist(), lost.tolist()):
            self.fail_rates[m] = 0.99 * self.fail_rates[m] + 0.01 * fail
        self._start_random(over)
        return self._observe(self._dof_error())

    def _start_random(self, env_ids: Tensor) -> None:
        count, device = len(env_ids), env_ids.device
        share = self.fail_rates.clamp_min(0.01)
        ids = torch.multinomial(share, count, replacement=True, generator=self._rng)
        last = (self.motion_lengths[ids] * _HZ).floor() - 5
        frame = (torch.rand(count, generator=self._rng, device=device) * last).floor()
        self._start(env_ids, ids, frame / _HZ)

    def _start(
        self, env_ids: Tensor, motion_ids: Tensor, times: Tensor, noise: torch.Generator | None = None
    ) -> None:
        self.motion_ids[env_ids] = motion_ids
        self.motion_times[env_ids] = times.float()
        self._steps[env_ids] = 0
        ref = self.reference(motion_ids, times)
        fields = ("root_pos", "root_rot", "joint_rot", "root_vel", "root_ang_vel", "dof_vel")
        state = CharacterState(**{name: getattr(ref, name) for name in fields})
        if noise is not None:
            drawn = torch.randn(ref.dof_vel.shape, generator=noise, device=times.device)
            dof = self._curve(motion_ids, times) + self._joint_noise * drawn
            state = attrs.evolve(state, joint_rot=self._kin.dof_to_joint_rot(dof))
        self.simulator.reset(env_ids, state)

    def _curve(self, motion_ids: Tensor, times: Tensor) -> Tensor:
        return 0.6 * torch.sin(self._speed[motion_ids][:, None] * times[:, None] + self._phase)

    def _dof_error(self) -> Tensor:
        dof = self._kin.joint_rot_to_dof(self.simulator.read().joint_rot)
        return dof - self._curve(self.motion_ids, self.motion_times)

    def _observe(self, error: Tensor) -> Tensor:
        times = (self.motion_times + 1.0 / _HZ).minimum(self.motion_lengths[self.motion_ids])
        touching = torch.zeros(self.num_envs, 1, device=times.device)
        return torch.cat([error, self._curve(self.motion_ids, times), touching], dim=-1)
