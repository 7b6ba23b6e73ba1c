"""The imitation task on any simulator: one terrain and one motion per environment."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any, ClassVar

import attrs
import numpy as np
import torch
from torch import Tensor

from parc_core.interfaces import (
    BodyState,
    Done,
    Parallel,
    Reference,
    Scene,
    Simulator,
    Step,
    TrackerEnv,
    TrackingFrame,
    stop_point,
)
from parc_deepmimic.actions import absolute_bounds, action_spec, lead_targets
from parc_deepmimic.config import DeepMimicConfig, StartConfig
from parc_deepmimic.errors import tracking_errors
from parc_deepmimic.fail_rates import StartCurriculum
from parc_deepmimic.frames import FrameBuilder
from parc_deepmimic.layout import ObservationLayout
from parc_deepmimic.observed_state import STATE_FIELDS, ObservedState
from parc_deepmimic.one_world import in_own_coordinates
from parc_deepmimic.reference import MotionLibrary
from parc_deepmimic.scoring import ExtraObservations, RewardModel, TerminationModel
from parc_deepmimic.starts import body_state, is_exact, perturb, state_of, without_broken
from parc_deepmimic.statistics import EpisodeStatistics, fail_rate_summary
from parc_deepmimic.variants import distinct_terrains, terrains_of
from parc_motion.clips import MotionClip
from parc_motion.errors import DataError
from parc_motion.geometry import PackedTerrains
from parc_motion.skeletons import Skeleton

__all__ = ["DeepMimicEnv"]


class DeepMimicEnv(TrackerEnv):
    """Many characters, each following one motion of a set on that motion's own terrain.

    Clips without a terrain stand on level ground at z = 0. With `terrains.per_motion` above 1 training samples a
    terrain of the motion at each start; playbacks use its own. A simulator with one world for all environments
    (capability "one_world") gets all terrains laid out on one grid. A copy of the character that diverges in the
    simulator fails its episode; its state is replaced by the reference's, so NaN never reaches an agent.

    Episodes of training end with FAIL when the reference is lost, TIMEOUT at its end (or FAIL, see
    `termination.end_is_fail`) and after `episode_length_s`. In a playback the end of the reference is SUCCESS, each
    env reports its end once, and its motion time stands still afterwards.
    """

    data_parallel = True
    timed_parts: ClassVar[dict[str, str]] = {
        "_observe": "observation",
        "_score": "reward",
        "_ends": "reward",
        "_start_sampled": "reset",
        "_restart_ended": "reset",
    }

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
        _check(len(clips), weights, num_envs)
        simulator = in_own_coordinates(simulator)
        self.config, self.simulator, self.skeleton, self.num_envs = config, simulator, skeleton, num_envs
        self._rng, self.control_hz, self._dt = rng, config.control_hz, 1.0 / config.control_hz
        self._library = library = MotionLibrary(clips, skeleton, device)
        clips = library.clips
        self.num_motions, self.motion_names, self.motion_lengths = len(clips), library.names, library.lengths
        self.motion_classes = tuple(clip.motion_class for clip in clips)
        per_motion = []
        for m, clip in enumerate(clips):
            stop_point()
            per_motion.append(terrains_of(clip, config.terrains, library.kinematics, seed=m))
        terrains, choices = distinct_terrains(per_motion)
        self._motion_weights = torch.tensor(weights / np.sum(weights), dtype=torch.float32, device=device)
        self._terrain_choices = torch.tensor(choices, device=device)  # [M, V], a motion's own first
        simulator.build(
            Scene(
                skeleton=skeleton,
                terrains=terrains,
                num_envs=num_envs,
                control_hz=config.control_hz,
                label=lambda env: library.names[int(self.motion_ids[env])],
            )
        )
        packed = PackedTerrains.of(terrains, device)
        self._frames = FrameBuilder(config, library, packed, skeleton)
        self._extra = ExtraObservations(config.observation.terms, skeleton, device)
        self._layout = ObservationLayout(
            config.observation,
            skeleton,
            library,
            packed,
            config.control_hz,
            self._extra.groups,
        )
        self.observation = self._layout.groups
        self._lower, self._upper = (bound.to(device) for bound in absolute_bounds(skeleton))
        self.action = action_spec(config.action_mode, (self._lower, self._upper))
        self._lead = library.frame_table("lead_targets", config.feed_forward_s, self._lead_of)  # [F, D] rad
        self._reward = RewardModel(config.reward, skeleton, device)
        self._lost = TerminationModel(config.termination, skeleton, device)
        self._curriculum = StartCurriculum(library, weights, config.start)
        self._episodes = EpisodeStatistics(num_envs, library.names, config.control_hz, device)
        self._playback_noise = attrs.evolve(config.start, perturbed_frac=1.0)
        self._make_clocks(device)

    def _make_clocks(self, device: str) -> None:
        n = self.num_envs
        self.motion_ids = torch.zeros(n, dtype=torch.long, device=device)
        self.motion_times = torch.zeros(n, device=device)
        self._start_times = torch.zeros(n, device=device)
        self._steps = torch.zeros(n, dtype=torch.long, device=device)
        self._bins = torch.zeros(n, dtype=torch.long, device=device)
        self._terrain_ids = torch.full((n,), -1, dtype=torch.long, device=device)
        self._last_action = torch.zeros(n, len(self.action.lower), device=device)
        self.active = torch.zeros(n, dtype=torch.bool, device=device)
        self._training, self._on_frames = True, False
        self._all_envs = torch.arange(n, device=device)
        self._episode_steps = max(1, round(self.config.episode_length_s * self.config.control_hz))
        every = torch.arange(self.num_motions, device=device)
        self._frames_fit = self._library.is_on_frames(every, torch.zeros_like(every), self.config.control_hz)

    @property
    def motion_weights(self) -> Tensor:
        """Sampling weight of each motion before fail rates, ``[M]``, sums to 1."""
        return self._motion_weights

    @property
    def reward_range(self) -> tuple[float, float] | None:
        """Smallest and largest reward that the terms declare; None where one of them does not."""
        return self._reward.value_range

    @property
    def fail_rates(self) -> Tensor:
        """Moving average of failures per motion, ``[M]`` 0..1."""
        return self._curriculum.motion_rate

    def reset(self) -> Tensor:
        """Start a new episode everywhere, training mode; the observation ``[N, O]``."""
        self._training, self._on_frames = True, self._frames_fit
        self.active = torch.ones_like(self.active)
        self._episodes.restart()
        return self._observe(self._start_sampled(self._all_envs))

    def playback(
        self, motion_ids: Tensor, start_times: Tensor, noise: torch.Generator | None = None
    ) -> Tensor:
        """Put env i on motion ``motion_ids[i]`` at ``start_times[i]`` s; the observation ``[N, O]``.

        Exactly, or with the noise of the settings `start` in every env, whatever `perturbed_frac` is.
        """
        count = len(motion_ids)
        if count > self.num_envs or len(start_times) != count:
            raise DataError(
                f"playback of {count} motions from {len(start_times)} times in {self.num_envs} environments; "
                "give one time per motion and at most as many motions as environments."
            )
        self._training = False
        self.active = self._all_envs < count
        # idle envs stand on the first of the motions, so that the simulator has a finite state for them
        ids, times = motion_ids.new_zeros(self.num_envs), torch.zeros_like(self.motion_times)
        ids[:count], times[:count] = motion_ids, start_times.to(times.dtype)
        if 0 < count < self.num_envs:
            ids[count:], times[count:] = motion_ids[0], times[0]
        self._on_frames = self._library.is_on_frames(ids, times, self.config.control_hz)
        terrain_ids = self._terrain_choices[ids, 0]
        perturbation = None if noise is None else (self._playback_noise, noise, None)
        return self._observe(self._start(self._all_envs, ids, times, terrain_ids, perturbation))

    def set_joint_noise(self, joint_noise: float) -> None:
        """Perturbed starts of playbacks have this standard deviation per joint axis from now on, rad."""
        self._playback_noise = attrs.evolve(self._playback_noise, joint_noise=joint_noise)

    def step(self, action: Tensor) -> Step:
        """One control step under actions ``[N, A]``."""
        self._simulate(action)
        reference = self._library.query(self.motion_ids, self.motion_times, self._on_frames)
        state, sound = self._read_sound(reference)
        frame = self._frame(state, reference, action)
        reward, terms, errors, lost = self._score(frame)
        if sound is not None:
            lost, reward = lost | ~sound, reward * sound
        done = self._ends(lost, self.active)
        now = ObservedState.of(
            state,
            self._layout.key_bodies,
            contacts=frame.contacts,
            motion_ids=self.motion_ids,
            motion_times=self.motion_times,
            terrain_ids=self._terrain_ids,
            extra=self._extra(frame),
        )
        if self._training:
            self._episodes.add(reward, errors)
            final_obs, obs = self._restart_ended(done, lost, now)
        else:
            self._stay(done, sound)
            final_obs = obs = self._observe(now)
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
        """Load the rates of motions of equal names, and the random generator where the set of motions is the same."""
        self._curriculum.load(state)
        if set(state["fail_rates"]) == set(self.motion_names):
            raw = np.frombuffer(base64.b64decode(state["rng"]), dtype=np.uint8).copy()
            self._rng.set_state(torch.from_numpy(raw))

    def synchronize(self, parallel: Parallel) -> None:
        """Combine the fail rates of all processes."""
        self._curriculum.synchronize(parallel)

    def reseed(self, seed: int) -> None:
        """Sample other motions, starts and perturbations from now on."""
        self._rng.manual_seed(seed)

    def statistics(self) -> dict[str, Any]:
        """Episodes of the training that ended since the last call; see `parc_deepmimic.statistics`.

        ``episodes``, ``fail_frac``, ``length_s``, ``return``, ``errors``, the same per motion in ``motions``, and
        ``fail_rates`` (quantiles, hardest motions, classes). Empty where no episode ended.
        """
        found = self._episodes.take()
        if found:
            found["fail_rates"] = fail_rate_summary(self.fail_rates, self.motion_names, self.motion_classes)
        return found

    def close(self) -> None:
        """Close the simulator; may be called twice."""
        self.simulator.close()

    def _simulate(self, action: Tensor) -> None:
        self.simulator.set_targets(self.dof_target(action))
        # in a playback, environments that have ended or are idle are not simulated
        all_move = self._training or bool(self.active.all())
        self.simulator.step(None if all_move else self.active.nonzero().flatten())
        self._steps = self._steps + self.active
        self.motion_times = self._start_times + self._steps * self._dt

    def _lead_now(self) -> Tensor:
        times = self.motion_times + self._dt
        if self._on_frames:
            return self._lead[self._library.rows(self.motion_ids, times)[0]]
        return self._lead_of(self._library.query(self.motion_ids, times))

    def _lead_of(self, reference: Reference) -> Tensor:
        return lead_targets(reference, self._library.kinematics, self.config.feed_forward_s)

    def _read_sound(self, ref: Reference) -> tuple[BodyState, Tensor | None]:
        """The state, and which copies are finite (None: all of them, the usual case)."""
        state = self.simulator.read()
        if bool(state.finite.all()):
            return state, None
        return without_broken(state, body_state(state_of(ref), self._library.kinematics)), state.finite

    def _frame(self, state: BodyState, reference: Reference, action: Tensor) -> TrackingFrame:
        """What the terms see of this control step."""
        first = (self._steps == 1)[:, None]
        previous, self._last_action = torch.where(first, action, self._last_action), action.clone()
        where = (self.motion_ids, self.motion_times, self._terrain_ids)
        return self._frames.of_step(state, reference, (action, previous), where, self._training)

    def _start_extra(self, env_ids: Tensor, reference: Reference) -> Tensor:
        """The numbers of the further observation groups at a start, ``[E, X]``."""
        if not self._extra.groups:
            return reference.contacts.new_empty(len(env_ids), 0)
        where = (self.motion_ids[env_ids], self.motion_times[env_ids], self._terrain_ids[env_ids])
        frame = self._frames.of_start(self.simulator.read(), env_ids, reference, where, self._training)
        return self._extra(frame)

    def _score(self, frame: TrackingFrame) -> tuple[Tensor, dict[str, Tensor], dict[str, Tensor], Tensor]:
        """Reward, its terms, tracking errors, and which environments have lost the reference."""
        reward, terms = self._reward(frame)
        return reward, terms, tracking_errors(frame), self._lost(frame)

    def _observe(self, state: ObservedState) -> Tensor:
        return self._layout(state, self._on_frames)

    def _ends(self, lost: Tensor, moving: Tensor) -> Tensor:
        ended = self.motion_times >= self.motion_lengths[self.motion_ids] - 0.5 * self._dt
        end = Done.SUCCESS
        done = torch.zeros(self.num_envs, dtype=torch.int8, device=lost.device)
        if self._training:
            end = Done.FAIL if self.config.termination.end_is_fail else Done.TIMEOUT
            if self._library.any_loops:  # looping motions continue until the episode length is over
                ended = ended & ~self._library.loops[self.motion_ids]
            done = done.masked_fill_(self._steps >= self._episode_steps, int(Done.TIMEOUT))
        done.masked_fill_(ended, int(end)).masked_fill_(lost, int(Done.FAIL))
        done.masked_fill_(~moving, int(Done.NULL))
        return done

    def _restart_ended(self, done: Tensor, lost: Tensor, now: ObservedState) -> tuple[Tensor, Tensor]:
        """Observations of the states that the step ended in, and of those that the next step starts from."""
        over = done.nonzero().flatten()
        if len(over) == 0:
            obs = self._observe(now)
            return obs, obs
        # the end of a reference does not raise the fail rate of its motion, even where it is a failure for the value
        self._curriculum.update(self.motion_ids[over], self._bins[over], lost[over])
        self._episodes.end(over, self.motion_ids[over], lost[over])
        # old and new states in one call: a second call for a few rows would cost nearly as much as the first
        rows = self._observe(now.joined(self._start_sampled(over)))
        final_obs = rows[: self.num_envs]
        return final_obs, final_obs.index_copy(0, over, rows[self.num_envs :])

    def _stay(self, done: Tensor, sound: Tensor | None) -> None:
        self.active = self.active & (done == int(Done.NULL))
        if sound is not None:  # diverged copies are put back on their reference
            broken = (~sound).nonzero().flatten()
            ref = self._library.query(self.motion_ids[broken], self.motion_times[broken], self._on_frames)
            self.simulator.reset(broken, state_of(ref))

    def _start_sampled(self, env_ids: Tensor) -> ObservedState:
        ids, frames, bins = self._curriculum.sample(len(env_ids), self._rng)
        self._bins[env_ids] = bins
        choices = self._terrain_choices[ids]
        if choices.shape[1] == 1:
            terrain_ids = choices[:, 0]
        else:
            which = torch.randint(choices.shape[1], ids.shape, generator=self._rng, device=ids.device)
            terrain_ids = choices.gather(1, which[:, None])[:, 0]
        start = self.config.start
        mastery = 1.0 - self._curriculum.bin_rate[bins] if start.perturbed_when_mastered else None
        noise = (start, self._rng, mastery)
        return self._start(env_ids, ids, frames / self._library.fps[ids], terrain_ids, noise)

    def _start(
        self,
        env_ids: Tensor,
        motion_ids: Tensor,
        times: Tensor,
        terrain_ids: Tensor,
        noise: tuple[StartConfig, torch.Generator, Tensor | None] | None,
    ) -> ObservedState:
        moved = self._terrain_ids[env_ids] != terrain_ids
        if bool(moved.any()):
            self.simulator.set_terrains(env_ids[moved], terrain_ids[moved])
        # new tensors: those returned by earlier steps keep their values
        self.motion_ids = self.motion_ids.index_copy(0, env_ids, motion_ids)
        self.motion_times = self.motion_times.index_copy(0, env_ids, times)
        self._terrain_ids = self._terrain_ids.index_copy(0, env_ids, terrain_ids)
        self._start_times[env_ids] = times
        self._steps = self._steps.index_fill(0, env_ids, 0)
        ref = self._library.query(motion_ids, times, self._on_frames)
        state = state_of(ref)
        body_pos = ref.body_pos
        if noise is not None:
            config, rng, mastery = noise
            state = perturb(state, config, self._library.kinematics, rng, mastery)
            if not is_exact(config):
                pose = (state.root_pos, state.root_rot, state.joint_rot)
                body_pos, _ = self._library.kinematics.forward(*pose)
        self.simulator.reset(env_ids, state)
        return ObservedState(
            **{name: getattr(state, name) for name in STATE_FIELDS},
            key_pos=body_pos.index_select(1, self._layout.key_bodies),
            # forces are not known before the first step: the reference's contacts are the best estimate
            contacts=ref.contacts > 0.5,
            motion_ids=motion_ids,
            motion_times=times,
            terrain_ids=terrain_ids,
            extra=self._start_extra(env_ids, ref),
        )


def _check(num_clips: int, weights: np.ndarray, num_envs: int) -> None:
    if num_envs < 1:
        raise DataError(f"the tracking environment got num_envs {num_envs}; at least 1 is needed.")
    weights = np.asarray(weights)
    if (
        weights.shape != (num_clips,)
        or not np.isfinite(weights).all()
        or (weights < 0).any()
        or weights.sum() <= 0
    ):
        raise DataError(
            f"the tracking environment got weights of shape {list(weights.shape)} for {num_clips} clips; expected one "
            "finite number >= 0 per clip, not all of them 0."
        )
