"""Kinds `reward_term`, `termination_term` and `observation_term`: what a tracking environment rewards, ends and shows.

A term is a function of one `TrackingFrame`, or a class whose instances are. It lives in any package or plain Python
file and is chosen in the iteration file, with its own settings:

.. code-block:: python

    # my_terms.py, beside the iteration file
    import torch
    from parc_core.interfaces import observation_group

    def feet_apart(frame, *, distance: float = 0.2, k: float = 20.0):
        '''1 while the feet are at least `distance` m apart, falling towards 0 as they come closer.'''
        left, right = frame.skeleton.feet
        apart = (frame.state.body_pos[:, left] - frame.state.body_pos[:, right]).norm(dim=-1)
        return torch.exp(-k * (distance - apart).clamp(min=0.0).square())

    def too_low(frame, *, height: float = 0.3):
        '''The root is closer to the ground than `height` m.'''
        root = frame.state.root_pos
        return root[:, 2] - frame.ground_height(root[:, :2]) < height

    @observation_group(size=28, description="action of the step before")
    def previous_action(frame):
        return frame.action

.. code-block:: yaml

    env:
      use: deepmimic
      reward: {terms: {feet: {use: "my_terms.py:feet_apart", weight: 0.1, k: 30.0}, vel: null}}
      termination: {terms: {low: {use: "my_terms.py:too_low"}}}
      observation: {terms: {last_action: {use: "my_terms.py:previous_action"}}}

A class is made once per environment with ``target(config, skeleton=Skeleton, device=str)``; it can prepare tensors
there. The settings class is the annotation of ``config``; its field ``weight`` is a reward term's weight. Terms must
not change the tensors of a frame in place, and give equal values for equal frames (no random numbers, no memory of
earlier steps), so that a training that continues from a checkpoint gives the same numbers.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import attrs

from parc_core.errors import ConfigError
from parc_core.interfaces.simulator import BodyState
from parc_core.interfaces.tracker_env import ObservationGroup, Reference
from parc_motion.skeletons import Skeleton

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "ObservationTerm",
    "RewardTerm",
    "TerminationTerm",
    "TrackingFrame",
    "group_of",
    "observation_group",
    "reward_range_of",
]

Term = TypeVar("Term", bound="Callable[..., Tensor]")


@attrs.frozen(kw_only=True, eq=False)
class TrackingFrame:
    """One control step of N environments, as terms see it: the state that the step ended in, beside its reference.

    Everything is in world axes and in the terrain coordinates of each environment's motion; quaternions are xyzw.
    Errors are computed when a term first asks for them and shared by all terms.

    Observation terms also see the states in which episodes start. Then no action has been taken yet: `action` and
    `previous_action` are 0, `ground_force` is 0, and `contacts` are those of the reference.
    """

    state: BodyState  # simulated; a diverged copy shows the reference instead, so every number is finite
    reference: Reference  # of the same instant
    ground_force: Tensor  # [N, B] N, size of the force of the terrain on each body
    contacts: Tensor  # [N, B] bool, bodies on the ground: force above the environment's `contact_threshold`
    action: Tensor  # [N, A] that the agent gave for this step, not clipped
    previous_action: Tensor  # [N, A] of the step before; in an episode's first step the same as `action`
    motion_ids: Tensor  # [N] int64, motion that each environment follows
    motion_times: Tensor  # [N] s, time in it
    training: bool  # False in playbacks (evaluation, recording)
    #: `termination.training_share` in training, 1 in playbacks: termination terms multiply their limits by it
    limit_scale: float
    skeleton: Skeleton
    control_hz: float  # control steps per second
    ground: Callable[[Tensor], Tensor] = attrs.field(repr=False)  # see `ground_height`
    lookup: Callable[[float], Reference] = attrs.field(repr=False)  # see `reference_ahead`

    @property
    def num_envs(self) -> int:
        """N."""
        return len(self.motion_ids)

    def ground_height(self, xy: Tensor) -> Tensor:
        """Height of the terrain under points ``[N, ..., 2]`` m: ``[N, ...]`` m."""
        return self.ground(xy)

    def reference_ahead(self, seconds: float) -> Reference:
        """The reference `seconds` later (earlier where negative), clamped to the motion unless it loops."""
        return self.lookup(seconds)

    @functools.cached_property
    def root_pos_error(self) -> Tensor:
        """State minus reference, ``[N, 3]`` m."""
        return self.state.root_pos - self.reference.root_pos

    @functools.cached_property
    def root_pos_error_squared(self) -> Tensor:
        """Squared distance of the roots, ``[N]`` m^2."""
        from parc_motion.kinematics import rotations

        return rotations.squared_length(self.root_pos_error)

    @functools.cached_property
    def root_vel_error(self) -> Tensor:
        """State minus reference, ``[N, 3]`` m/s."""
        return self.state.root_vel - self.reference.root_vel

    @functools.cached_property
    def root_ang_vel_error(self) -> Tensor:
        """State minus reference, ``[N, 3]`` rad/s."""
        return self.state.root_ang_vel - self.reference.root_ang_vel

    @functools.cached_property
    def dof_vel_error(self) -> Tensor:
        """State minus reference, ``[N, D]`` rad/s."""
        return self.state.dof_vel - self.reference.dof_vel

    @functools.cached_property
    def body_pos_error(self) -> Tensor:
        """State minus reference of the bodies after the root, each relative to its own root, ``[N, B - 1, 3]`` m."""
        return _relative_to_root(self.state.body_pos - self.reference.body_pos)

    @functools.cached_property
    def body_pos_error_squared(self) -> Tensor:
        """Squared lengths of `body_pos_error`, ``[N, B - 1]`` m^2."""
        from parc_motion.kinematics import rotations

        return rotations.squared_length(self.body_pos_error)

    @functools.cached_property
    def body_rot_error(self) -> Tensor:
        """Angle between each body and its reference, world frame, the root first: ``[N, B]`` rad, 0..pi."""
        from parc_motion.kinematics import rotations

        return rotations.rotation_angle(self.state.body_rot, self.reference.body_rot)

    @functools.cached_property
    def joint_rot_error(self) -> Tensor:
        """Angle between each joint rotation and its reference: ``[N, J]`` rad, 0..pi."""
        from parc_motion.kinematics import rotations

        return rotations.rotation_angle(self.state.joint_rot, self.reference.joint_rot)


class RewardTerm(Protocol):
    """One term of the reward; 1 for a perfect match by convention, but any range is allowed.

    The reward is the mean of the terms, weighted by their settings `weight` (divided by the sum of all weights); terms
    of weight 0 are not computed. The values before weighting are reported under the term's name.

    A term may state the range of its values in an attribute ``value_range = (low, high)``. Where every term does,
    agents know the range of the reward (`TrackerEnv.reward_range`) and may bound their value estimates by it.
    """

    def __call__(self, frame: TrackingFrame, /) -> Tensor:
        """The value for each environment, ``[N]``."""


class TerminationTerm(Protocol):
    """One way to lose the reference: the episode ends with `Done.FAIL`.

    Distances and angles that limit how far a character may be off are multiplied by `TrackingFrame.limit_scale`.
    """

    def __call__(self, frame: TrackingFrame, /) -> Tensor:
        """Which environments have lost their reference, ``[N]`` bool."""


class ObservationTerm(Protocol):
    """One group of the observation vector, appended behind the built-in groups under the term's name.

    A policy depends on its observation: where it was trained with a group, it can only be used in environments that
    have it. A plain function declares its attributes with `observation_group`.
    """

    size: int  # numbers per environment
    normalize: bool  # whether an agent's normalizer may shift and scale the numbers
    shape: tuple[int, ...]  # rows and columns of numbers that are a picture, row by row; () for others
    description: str  # what it shows, units included

    def __call__(self, frame: TrackingFrame, /) -> Tensor:
        """The numbers, ``[N, size]`` float."""


def observation_group(
    *, size: int, normalize: bool = True, shape: tuple[int, ...] = (), description: str = ""
) -> Callable[[Term], Term]:
    """Declares what a plain function shows, so that it can be an `ObservationTerm`; used as a decorator."""

    def declare(term: Term) -> Term:
        declared = {"size": size, "normalize": normalize, "shape": shape, "description": description}
        for name, value in declared.items():
            setattr(term, name, value)
        return term

    return declare


def group_of(name: str, term: Callable[..., Tensor]) -> ObservationGroup:
    """The observation group that a term declares.

    Raises:
        ConfigError: the term declares no size.
    """
    size = _declared(term, "size", None)
    if not isinstance(size, int) or size < 1:
        raise ConfigError(
            f"observation.terms.{name}: {term!r} declares size {size!r}, expected the number of values per "
            "environment. Give a class the attribute `size`, a function the decorator @observation_group(size=...)."
        )
    return ObservationGroup(
        name=name,
        size=size,
        normalize=_declared(term, "normalize", True),
        description=_declared(term, "description", ""),
        shape=tuple(_declared(term, "shape", ())),
    )


def reward_range_of(term: Callable[..., Tensor]) -> tuple[float, float] | None:
    """Smallest and largest value that a reward term declares in its attribute `value_range`; None: not declared."""
    found = _declared(term, "value_range", None)
    return None if found is None else (float(found[0]), float(found[1]))


def _relative_to_root(body_pos: Tensor) -> Tensor:
    """Vectors of bodies after the root minus that of the root, ``[N, B - 1, 3]`` m for ``[N, B, 3]``.

    On whole rows, which is faster than on triples.
    """
    others = body_pos.shape[1] - 1
    return (body_pos.flatten(1)[:, 3:] - body_pos[:, 0].repeat(1, others)).unflatten(1, (others, 3))


def _declared(term: Callable[..., Tensor], name: str, default: Any) -> Any:
    """An attribute of a term, or of the function whose settings are bound."""
    while isinstance(term, functools.partial):
        term = term.func
    return getattr(term, name, default)
