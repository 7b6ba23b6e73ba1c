"""Optimizers: `kinopt` makes clips trackable, `none` hands them on."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed

import attrs
import numpy as np
import torch
from torch import Tensor

from parc_core.interfaces import Optimizer, Refined, stop_point
from parc_kinopt import kernels
from parc_kinopt.batch import ClipBatch, join, pack, require_terrain, split, to_clip
from parc_kinopt.cloud import PointCloud
from parc_kinopt.compiled.goal import TERMS, goal_of, limb_arrays
from parc_kinopt.compiled.ground import make_ground
from parc_kinopt.compiled.newton import NewtonSettings, Problem, Solution, solve
from parc_kinopt.compiled.tree import tree_of
from parc_kinopt.config import KinoptConfig, NoneConfig
from parc_kinopt.constraints import BodyConstraint, automatic_constraints, foot_locks, spread
from parc_kinopt.contacts import LimbMotion, clean_contacts, geometric_contacts, limb_motion, without_slides
from parc_kinopt.hesitation import remove_hesitation
from parc_kinopt.limbs import limbs_of
from parc_kinopt.objective import Body, MotionLoss, Targets, center_of_mass
from parc_kinopt.problems import unresolved
from parc_kinopt.smoothing import low_pass, low_pass_rot
from parc_motion.clips import MotionClip
from parc_motion.kinematics import Kinematics, body_masses
from parc_motion.kinematics.rotations import quat_to_matrix
from parc_motion.skeletons import Skeleton

__all__ = ["KinematicOptimizer", "KinoptConfig", "NoOptimizer", "NoneConfig", "make_body", "make_targets"]

log = logging.getLogger(__name__)

Report = Callable[[float, float, str], None]


def make_body(skeleton: Skeleton, device: str = "cpu", dtype: torch.dtype = torch.float64) -> Body:
    """What the loss needs of a character, in one precision."""
    mass, com = body_masses(skeleton)
    as_tensor = lambda a: torch.as_tensor(a, dtype=dtype, device=device)  # noqa: E731
    return Body(
        kin=Kinematics(skeleton, device, dtype),
        cloud=PointCloud(skeleton, device, dtype),
        limbs=limbs_of(skeleton),
        mass=as_tensor(mass / mass.sum()),
        com=as_tensor(com),
    )


def make_targets(
    batch: ClipBatch,
    body: Body,
    config: KinoptConfig,
    constraints: Sequence[Sequence[BodyConstraint]] | None = None,
) -> Targets:
    """What clips are pulled to.

    Args:
        constraints: per clip; found from the contact runs when not given.
    """
    body_pos, body_rot = body.kin.forward(batch.root_pos, batch.root_rot, batch.joint_rot)
    matrix = quat_to_matrix(body_rot)
    com = center_of_mass(body, body_pos, matrix)
    threshold = config.constraint_threshold
    locked = config.weights.foot_lock > 0.0
    if constraints is None and config.body_constraints and config.weights.body_constraint > 0.0:
        # a locked foot already has its place; holding it at a second one would only be a contradiction
        limbs = [limb for limb in body.limbs if not (locked and limb.is_foot)]
        constraints = automatic_constraints(batch, body_pos, matrix, limbs, threshold)
    held, point = spread(constraints or [[] for _ in range(batch.num_clips)], batch.contacts)
    world = body.cloud.world(body_pos.flatten(0, 1), matrix.flatten(0, 1)).unflatten(
        0, batch.contacts.shape[:2]
    )
    lock = foot_locks(batch, world, body.feet, threshold)
    settled = held.clone()
    if locked:  # the published sliding term keeps the source's own sliding, which the lock takes away
        for f, foot in enumerate(body.feet):
            settled[..., foot.body] = torch.maximum(
                held[..., foot.body], (lock.weight[:, :, f] > 0).any(-1).to(held.dtype)
            )
    return Targets(
        root_pos=batch.root_pos,
        root_rot=batch.root_rot,
        joint_rot=batch.joint_rot,
        step=body_pos[:, 1:] - body_pos[:, :-1],
        angle=kernels.step_angle(body_rot),
        contacts=batch.contacts,
        held=held,
        point=point,
        settled=settled,
        lock=lock.weight,
        lock_pair=lock.pair,
        lock_height=lock.height,
        airborne=_airborne(batch, config.min_flight, config.max_flight),
        com_step=com[:, 2:] - 2.0 * com[:, 1:-1] + com[:, :-2],
        jerk_limit=config.jerk_limit * batch.dt**3,
        lengths=batch.lengths,
        dt=batch.dt,
        terrain_ids=batch.terrain_ids,
    )


def _airborne(batch: ClipBatch, shortest: float, longest: float) -> Tensor:
    """1 at t where frames t..t+2 lie in one contact-free interval of that duration, ``[C, T - 2]``.

    Intervals that reach the first or last frame are left out: their take-off or landing is unknown.
    """
    free = (batch.contacts.amax(-1) < 0.5) & (batch.mask() > 0)
    result = torch.zeros_like(batch.contacts[:, 2:, 0])
    for clip, (row, length, dt) in enumerate(
        zip(free.cpu().numpy(), batch.lengths.tolist(), batch.dt.tolist())
    ):
        edges = np.diff(np.concatenate([[0], row[:length].astype(np.int8), [0]]))
        for first, stop in zip(np.flatnonzero(edges > 0), np.flatnonzero(edges < 0)):
            if first > 0 and stop < length and shortest - 1e-6 <= (stop - first) * dt <= longest:
                result[clip, first : max(stop - 2, first)] = 1.0
    return result


class KinematicOptimizer(Optimizer):
    """Hesitation removal, then Gauss-Newton with shrinking smoothing, one clip a thread.

    Works on the CPU in float64 whatever the device of the run is, and gives the same bits with any number of threads.
    """

    def __init__(self, config: KinoptConfig, *, skeleton: Skeleton, device: str = "cpu") -> None:
        self.config, self.skeleton = config, skeleton
        self.body = make_body(skeleton)
        self.weights = attrs.asdict(config.weights)
        self.tree = tree_of(skeleton)
        self.limbs = limb_arrays(self.body.limbs)

    def refine(self, clips: Sequence[MotionClip], report: Report | None = None) -> list[Refined]:
        """Each clip refined, in the given order."""
        cpu = Kinematics(self.skeleton)
        cut, removed = [], []
        for clip in clips:
            stop_point()
            require_terrain(clip)
            clip.require_skeleton(self.skeleton.id, self.skeleton.num_joints)
            shorter, frames = remove_hesitation(clip, self.config.hesitation, cpu)
            cut.append(shorter)
            removed.append(frames)
        results: dict[int, Refined] = {}
        for chunk in _chunks([clip.num_frames for clip in cut], self.config.batch_frames):
            done = len(results)

            def tell(solved: int, done: int = done) -> None:
                if report is not None:
                    report(done + solved, len(clips), f"optimized {done + solved} of {len(clips)} clips")

            refined = self._refine_batch([cut[i] for i in chunk], tell)
            results |= {i: attrs.evolve(r, removed_frames=removed[i]) for i, r in zip(chunk, refined)}
        return [results[i] for i in range(len(clips))]

    def problems(
        self,
        source: ClipBatch,
        clips: Sequence[MotionClip],
        constraints: Sequence[Sequence[BodyConstraint]] | None = None,
    ) -> tuple[Targets, list[Problem]]:
        """What each clip of a batch is pulled to, and its loss.

        Args:
            constraints: per clip; found from the contact runs when not given.
        """
        targets = make_targets(source, self.body, self.config, constraints)
        weights = np.array([self.weights[name] for name in TERMS])
        problems = [
            Problem(
                tree=self.tree,
                ground=make_ground(require_terrain(clip)),
                goal=goal_of(targets, i),
                limbs=self.limbs,
                weights=weights,
            )
            for i, clip in enumerate(clips)
        ]
        return targets, problems

    def _refine_batch(self, clips: list[MotionClip], tell: Callable[[int], None]) -> list[Refined]:
        terrains = [require_terrain(clip) for clip in clips]
        start = pack(clips, terrains, self.skeleton)
        source = pack([self._source(clip) for clip in clips], terrains, self.skeleton)
        if self.config.clean_contacts:
            source = attrs.evolve(source, contacts=self._clean(source))
        targets, problems = self.problems(source, clips)
        x0 = join(source.root_pos, source.root_rot, source.joint_rot, self.body.kin).numpy()
        firsts = [x0[i, : clip.num_frames] for i, clip in enumerate(clips)]
        solutions = self._solve(problems, firsts, tell)
        before = join(start.root_pos, start.root_rot, start.joint_rot, self.body.kin).numpy()
        return self._finish(clips, source, targets, problems, before, solutions)

    def _solve(
        self, problems: list[Problem], firsts: list[np.ndarray], tell: Callable[[int], None]
    ) -> list[Solution]:
        settings = NewtonSettings(
            widths=self._widths(),
            tolerance=self.config.tolerance,
            max_steps=self.config.max_steps,
            firmness=self.config.firmness,
        )
        threads = self.config.threads or len(os.sched_getaffinity(0))
        with ThreadPoolExecutor(threads) as pool:
            jobs = [
                pool.submit(solve, _with_margin(problem, settings.widths[-1]), x, settings)
                for problem, x in zip(problems, firsts)
            ]
            try:
                for solved, job in enumerate(as_completed(jobs), start=1):
                    job.result()
                    tell(solved)
            except BaseException:  # what has not begun never will
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        solutions = [self._within_limits(job.result()) for job in jobs]
        log.debug("steps of %d clips: %s", len(solutions), [solution.steps for solution in solutions])
        return solutions

    def _within_limits(self, solution: Solution) -> Solution:
        """The solution without the rest of an excess that the smoothing leaves at joint limits."""
        if self.weights["joint_limit"] == 0.0:
            return solution
        dof = np.clip(solution.x[:, 6:], self.tree.lower, self.tree.upper)
        return attrs.evolve(solution, x=np.concatenate([solution.x[:, :6], dof], axis=1))

    def _widths(self) -> tuple[float, ...]:
        config = self.config
        widths = [config.first_width]
        while widths[-1] * config.width_factor > config.last_width:
            widths.append(widths[-1] * config.width_factor)
        if widths[-1] > config.last_width:
            widths.append(config.last_width)
        return tuple(widths)

    def _source(self, clip: MotionClip) -> MotionClip:
        """The motion that is followed: the clip without its jitter."""
        cutoff = self.config.source_cutoff
        if cutoff == 0.0:
            return clip
        return attrs.evolve(
            clip,
            root_pos=low_pass(torch.tensor(clip.root_pos), clip.fps, cutoff).numpy(),
            root_rot=low_pass_rot(torch.tensor(clip.root_rot), clip.fps, cutoff).numpy(),
            joint_rot=low_pass_rot(torch.tensor(clip.joint_rot), clip.fps, cutoff).numpy(),
        )

    def _motion(self, batch: ClipBatch) -> LimbMotion:
        body_pos, body_rot = self.body.kin.forward(batch.root_pos, batch.root_rot, batch.joint_rot)
        return limb_motion(batch, body_pos, quat_to_matrix(body_rot), self.body.cloud, self.body.limbs)

    def _clean(self, batch: ClipBatch) -> Tensor:
        """Contacts of feet and hands corrected by geometry, of other bodies rounded."""
        motion = self._motion(batch)
        contacts = (batch.contacts > 0.5).to(batch.contacts.dtype)
        bodies = [limb.body for limb in self.body.limbs]
        for clip, (length, dt) in enumerate(zip(batch.lengths.tolist(), batch.dt.tolist())):
            labels, one = batch.contacts[clip, :length, bodies].numpy(), motion.of(clip, length)
            clean = clean_contacts(labels, one.distance, one.speed, 1.0 / dt, self.config.contacts)
            contacts[clip, :length, bodies] = torch.as_tensor(clean).to(contacts)
        return contacts

    def _relabel(self, batch: ClipBatch, clips: Sequence[MotionClip]) -> list[np.ndarray]:
        motion, config = self._motion(batch), self.config.relabel
        bodies = [limb.body for limb in self.body.limbs]
        result = []
        for i, clip in enumerate(clips):
            one = motion.of(i, clip.num_frames)
            found = geometric_contacts(one.distance, one.speed, clip.fps, config)
            labels = batch.contacts[i, : clip.num_frames].numpy().copy()
            labels[:, bodies] = without_slides(found, one.step, config, clip.fps)
            result.append(labels)
        return result

    def _finish(
        self,
        clips: list[MotionClip],
        source: ClipBatch,
        targets: Targets,
        problems: list[Problem],
        before: np.ndarray,
        solutions: list[Solution],
    ) -> list[Refined]:
        """Clips, exact losses and what is left to complain about."""
        padded = np.stack(
            [np.pad(s.x, [(0, source.num_frames - len(s.x)), (0, 0)], mode="edge") for s in solutions]
        )
        after = torch.from_numpy(padded)
        loss = MotionLoss(targets, source.terrains, self.body, self.weights)
        complaints = unresolved(loss, after, self.skeleton, self.config.max_flight)
        root_pos, root_rot, joint_rot = split(after, self.body.kin)
        moved = attrs.evolve(source, root_pos=root_pos, root_rot=root_rot, joint_rot=joint_rot)
        labels = self._relabel(moved, clips) if self.config.relabel_contacts else None
        result = []
        for i, (clip, problem, solution) in enumerate(zip(clips, problems, solutions)):
            frames = clip.num_frames
            contacts = labels[i] if labels else source.contacts[i, :frames].numpy()
            texts = complaints[i]
            if not solution.converged:
                texts = (f"stopped after {solution.steps} steps before it converged", *texts)
            result.append(
                Refined(
                    clip=to_clip(clip, after[i, :frames], self.body.kin, contacts=contacts),
                    before=self._losses(problem, before[i, :frames]),
                    after=self._losses(problem, solution.x),
                    unresolved=texts,
                )
            )
        return result

    def _losses(self, problem: Problem, x: np.ndarray) -> dict[str, float]:
        """Unweighted value of each term that has a weight."""
        values = problem.evaluate(x).values
        return {name: float(value) for name, value in zip(TERMS, values) if self.weights[name] > 0.0}


def _with_margin(problem: Problem, width: float) -> Problem:
    """The problem with a jerk limit that is lower by what the rounding of the last stage may leave above it."""
    limit = problem.goal.jerk_limit
    return attrs.evolve(problem, goal=problem.goal._replace(jerk_limit=max(limit - width, 0.5 * limit)))


def _chunks(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Clips of similar length together, as many as fit with their padding."""
    chunks: list[list[int]] = []
    for i in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        if not chunks or lengths[chunks[-1][0]] * (len(chunks[-1]) + 1) > budget:
            chunks.append([])
        chunks[-1].append(i)
    return chunks


class NoOptimizer(Optimizer):
    """Clips as they are."""

    def __init__(self, config: NoneConfig, *, skeleton: Skeleton, device: str = "cpu") -> None:
        self.config = config

    def refine(self, clips: Sequence[MotionClip], report: Report | None = None) -> list[Refined]:
        """Each clip, untouched."""
        return [Refined(clip=clip, before={}, after={}) for clip in clips]
