"""The imitation task on any simulator: one terrain and one motion per environment."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from parc_core.data.clip import MotionClip
from parc_core.data.skeleton import Skeleton
from parc_core.data.terrain import Terrain
from parc_core.errors import DataError
from parc_core.geometry.packed import PackedTerrains
from parc_core.interfaces.simulator import BodyState, Scene, Simulator
from parc_core.interfaces.tracker_env import Done, Reference, Step, TrackerEnv
from parc_deepmimic.actions import absolute_bounds, action_spec, lead_targets
from parc_deepmimic.config import DeepMimicConfig
from parc_deepmimic.errors import tracking_errors
from parc_deepmimic.fail_rates import StartCurriculum
from parc_deepmimic.layout import ObservationLayout
from parc_deepmimic.reference import MotionLibrary
from parc_deepmimic.scoring import RewardModel, TerminationModel
from parc_deepmimic.starts import body_state, perturb, state_of, without_broken

__all__ = ["DeepMimicEnv"]


class DeepMimicEnv(TrackerEnv):
    """Many characters, each following one motion of a set on that motion's own terrain.

    Clips without a terrain stand on level ground at z = 0. A copy of the character that diverges in the simulator
    fails its episode; its state is replaced by the reference's, so no NaN reaches an agent.

    Episodes of training end with FAIL when the reference is lost, TIMEOUT at its end (or FAIL, see
    `termination.end_is_fail`) and after `episode_length_s`. In a playback the end of the reference is SUCCESS, each
    env reports its end once, and the clock of an env that ended stands still.
    """

    def __init__(
        self,
        config: DeepMimicConfig,
        *,
        clips: Sequence[MotionClip],
        weights: np.ndarray,
        simulator: Simulator,
        num_envs: int,
        skeleton: Skeleton,
        rng: torch.Generator,
        device: str = "cpu",
    ) -> None:
        _check(clips, weights, num_envs)
        self.config, self.simulator, self.skeleton, self.num_envs = config, simulator, skeleton, num_envs
        self._rng, self.control_hz, self._dt = rng, config.control_hz, 1.0 / config.control_hz
        self._library = library = MotionLibrary(clips, skeleton, device)
        self.num_motions, self.motion_names, self.motion_lengths = len(clips), library.names, library.lengths
        terrains, terrain_of_motion = _distinct_terrains(clips)
        self._motion_weights = torch.tensor(weights / np.sum(weights), dtype=torch.float32, device=device)
        self._terrain_of_motion = torch.tensor(terrain_of_motion, device=device)
        simulator.build(
            Scene(skeleton=skeleton, terrains=terrains, num_envs=num_envs, control_hz=config.control_hz)
        )
        self._layout = ObservationLayout(
            config.observation,
            skeleton,
            library,
            PackedTerrains.of(terrains, device),
            config.control_hz,
            config.contact_threshold,
        )
        self.observation = self._layout.groups
        self._lower, self._upper = (bound.to(device) for bound in absolute_bounds(skeleton))
        self.action = action_spec(config.action_mode, (self._lower, self._upper))
        self._lead = lead_targets(library.frames, library.kinematics, config.feed_forward_s)  # [F, D] rad
        self._reward = RewardModel(config.reward, skeleton, device)
        self._lost = TerminationModel(config.termination, skeleton, config.contact_threshold, device)
        self._curriculum = StartCurriculum(library, weights, config.start)
        self._make_clocks(device)

    def _make_clocks(self, device: str) -> None:
        n = self.num_envs
        self.motion_ids = torch.zeros(n, dtype=torch.long, device=device)
        self.motion_times = torch.zeros(n, device=device)
        self._start_times = torch.zeros(n, device=device)
        self._steps = torch.zeros(n, dtype=torch.long, device=device)
        self._bins = torch.zeros(n, dtype=torch.long, device=device)
        self._terrain_ids = torch.full((n,), -1, dtype=torch.long, device=device)
        #: [N] bool: which envs still follow their motion (all of them in training)
        self.active = torch.zeros(n, dtype=torch.bool, device=device)
        self._training, self._on_frames = True, False
        self._all_envs = torch.arange(n, device=device)
        self._episode_steps = max(1, round(self.config.episode_length_s * self.config.control_hz))
        every = torch.arange(self.num_motions, device=device)
        self._frames_fit = self._library.is_on_frames(every, torch.zeros_like(every), self.config.control_hz)

    @property
    def motion_weights(self) -> Tensor:
        """How much each motion matters, ``[M]``, sums to 1."""
        return self._motion_weights

    @property
    def fail_rates(self) -> Tensor:
        """Moving average of failures per motion, ``[M]`` 0..1."""
        return self._curriculum.motion_rate

    def reset(self) -> Tensor:
        """Start a new episode everywhere, training mode; the observation ``[N, O]``."""
        self._training, self._on_frames = True, self._frames_fit
        self.active[:] = True
        return self._start_drawn(self._all_envs)

    def playback(self, motion_ids: Tensor, start_times: Tensor) -> Tensor:
        """Put env i exactly on motion ``motion_ids[i]`` at ``start_times[i]`` s; the observation ``[N, O]``."""
        count = len(motion_ids)
        if count > self.num_envs or len(start_times) != count:
            raise DataError(
                f"playback of {count} motions from {len(start_times)} times in {self.num_envs} environments; "
                "give one time per motion and at most as many motions as environments."
            )
        self._training = False
        self.active = self._all_envs < count
        # idle envs rest on the first of the motions, so that the simulator has a sound state for them
        ids, times = motion_ids.new_zeros(self.num_envs), torch.zeros_like(self.motion_times)
        ids[:count], times[:count] = motion_ids, start_times.to(times.dtype)
        if 0 < count < self.num_envs:
            ids[count:], times[count:] = motion_ids[0], times[0]
        self._on_frames = self._library.is_on_frames(ids, times, self.config.control_hz)
        return self._start(self._all_envs, ids, times, noise=False)

    def step(self, action: Tensor) -> Step:
        """One control step under actions ``[N, A]``."""
        self.simulator.set_targets(self.dof_target(action))
        moving = self.active
        # in a playback, what has ended or never began costs nothing
        self.simulator.step(None if self._training or bool(moving.all()) else moving.nonzero().flatten())
        self._steps += moving
        self.motion_times = self._start_times + self._steps * self._dt
        ref = self._library.query(self.motion_ids, self.motion_times, self._on_frames)
        state, sound = self._read_sound(ref)
        force = state.contact_force.norm(dim=-1)
        errors = tracking_errors(state, ref)
        reward, terms = self._reward(state, ref, force)
        lost = self._lost(state, ref, errors, force)
        if sound is not None:
            lost, reward = lost | ~sound, reward * sound
        done = self._ends(lost, moving)
        final_obs = self._observe(state, self._all_envs, force > self.config.contact_threshold)
        obs = self._go_on(done, lost, sound, final_obs)
        return Step(obs=obs, reward=reward, done=done, final_obs=final_obs, errors=errors, reward_terms=terms)

    def read(self) -> BodyState:
        """The simulated state now, in the terrain coordinates of each env's motion."""
        return self.simulator.read()

    def reference(self, motion_ids: Tensor, times: Tensor) -> Reference:
        """The reference of motions at times (s, clamped to the motion unless it loops)."""
        return self._library.query(motion_ids, times)

    def dof_target(self, action: Tensor) -> Tensor:
        """Servo targets that actions stand for in the present state of each env: ``[N, D]`` rad, within bounds."""
        target = action
        if self.config.action_mode == "residual":
            target = self._lead_now() + self.config.action_scale * action
        return target.clamp(self._lower, self._upper)

    def action_for(self, dof_target: Tensor) -> Tensor:
        """The actions that stand for servo targets now (`dof_target` inverted, unclipped): ``[N, A]``."""
        if self.config.action_mode == "absolute":
            return dof_target
        return (dof_target - self._lead_now()) / self.config.action_scale

    def curriculum_state(self) -> dict[str, Any]:
        """``fail_rates`` {motion: rate}, ``bin_rates`` {motion: [rate per bin]}, ``rng`` (state, base64)."""
        rng = base64.b64encode(self._rng.get_state().cpu().numpy().tobytes()).decode()
        return {**self._curriculum.state(), "rng": rng}

    def load_curriculum(self, state: dict[str, Any]) -> None:
        """Rates of motions of equal names; the random generator too where the set of motions is the same."""
        self._curriculum.load(state)
        if set(state["fail_rates"]) == set(self.motion_names):
            raw = np.frombuffer(base64.b64decode(state["rng"]), dtype=np.uint8).copy()
            self._rng.set_state(torch.from_numpy(raw))

    def close(self) -> None:
        """Close the simulator; may be called twice."""
        self.simulator.close()

    def _lead_now(self) -> Tensor:
        times = self.motion_times + self._dt
        if self._on_frames:
            return self._lead[self._library.rows(self.motion_ids, times)[0]]
        ref = self._library.query(self.motion_ids, times)
        return lead_targets(ref, self._library.kinematics, self.config.feed_forward_s)

    def _read_sound(self, ref: Reference) -> tuple[BodyState, Tensor | None]:
        """The state, and which copies are sound (None: all of them, the usual case)."""
        state = self.simulator.read()
        if bool(state.finite.all()):
            return state, None
        return without_broken(state, body_state(state_of(ref), self._library.kinematics)), state.finite

    def _ends(self, lost: Tensor, moving: Tensor) -> Tensor:
        ended = self.motion_times >= self.motion_lengths[self.motion_ids] - 0.5 * self._dt
        done = torch.zeros(self.num_envs, dtype=torch.int8, device=lost.device)
        if self._training:
            if self._library.any_loops:  # those go on until the episode is over
                ended = ended & ~self._library.loops[self.motion_ids]
            done[self._steps >= self._episode_steps] = int(Done.TIMEOUT)
            done[ended] = int(Done.FAIL if self.config.termination.end_is_fail else Done.TIMEOUT)
        else:
            done[ended] = int(Done.SUCCESS)
        done[lost] = int(Done.FAIL)
        done[~moving] = int(Done.NULL)
        return done

    def _go_on(self, done: Tensor, lost: Tensor, sound: Tensor | None, final_obs: Tensor) -> Tensor:
        over = done.nonzero().flatten()
        if self._training:
            if len(over) == 0:
                return final_obs
            # the end of a reference is never held against a motion, even where it counts as a failure for the value
            self._curriculum.update(self.motion_ids[over], self._bins[over], lost[over])
            obs = final_obs.clone()
            obs[over] = self._start_drawn(over)
            return obs
        self.active = self.active & (done == int(Done.NULL))
        if sound is not None:  # diverged copies stand on their reference from now on
            broken = (~sound).nonzero().flatten()
            ref = self._library.query(self.motion_ids[broken], self.motion_times[broken], self._on_frames)
            self.simulator.reset(broken, state_of(ref))
        return final_obs

    def _start_drawn(self, env_ids: Tensor) -> Tensor:
        ids, frames, self._bins[env_ids] = self._curriculum.draw(len(env_ids), self._rng)
        return self._start(env_ids, ids, frames / self._library.fps[ids], noise=True)

    def _start(self, env_ids: Tensor, motion_ids: Tensor, times: Tensor, noise: bool) -> Tensor:
        self.motion_ids[env_ids], self._steps[env_ids] = motion_ids, 0
        self.motion_times[env_ids] = self._start_times[env_ids] = times
        terrain_ids = self._terrain_of_motion[motion_ids]
        moved = self._terrain_ids[env_ids] != terrain_ids
        if bool(moved.any()):
            self.simulator.set_terrains(env_ids[moved], terrain_ids[moved])
            self._terrain_ids[env_ids] = terrain_ids
        ref = self._library.query(motion_ids, times, self._on_frames)
        state = state_of(ref)
        if noise:
            state = perturb(state, self.config.start, self._library.kinematics, self._rng)
        self.simulator.reset(env_ids, state)
        # forces are not known before the first step: the reference's contacts are the best guess
        return self._observe(body_state(state, self._library.kinematics), env_ids, ref.contacts > 0.5)

    def _observe(self, state: BodyState, env_ids: Tensor, contacts: Tensor) -> Tensor:
        ids, times, terrains = (
            self.motion_ids[env_ids],
            self.motion_times[env_ids],
            self._terrain_ids[env_ids],
        )
        return self._layout(state, ids, times, terrains, contacts, self._on_frames)


def _check(clips: Sequence[MotionClip], weights: np.ndarray, num_envs: int) -> None:
    if num_envs < 1:
        raise DataError(f"the tracking environment got num_envs {num_envs}; at least 1 is needed.")
    weights = np.asarray(weights)
    if (
        weights.shape != (len(clips),)
        or not np.isfinite(weights).all()
        or (weights < 0).any()
        or weights.sum() <= 0
    ):
        raise DataError(
            f"the tracking environment got weights of shape {list(weights.shape)} for {len(clips)} clips; expected one "
            "finite number >= 0 per clip, not all of them 0."
        )
    names = [clip.name for clip in clips]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise DataError(f"the tracking environment got two clips called '{min(twice)}'; names must differ.")


def _distinct_terrains(clips: Sequence[MotionClip]) -> tuple[list[Terrain], list[int]]:
    """The different terrains of the clips, and which of them each clip stands on."""
    level = Terrain(height=np.zeros((2, 2)))
    terrains: list[Terrain] = []
    known: dict[tuple[Any, ...], int] = {}
    index = []
    for clip in clips:
        terrain = clip.terrain or level
        key = (terrain.height.tobytes(), terrain.shape, terrain.origin_xy.tobytes(), terrain.cell)
        if key not in known:
            known[key] = len(terrains)
            terrains.append(terrain)
        index.append(known[key])
    return terrains, index
