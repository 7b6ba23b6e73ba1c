"""Flights that no body could make: without support the center of mass follows a parabola, whatever the limbs do.

For every contact-free interval of duration T the center of mass has to leave with the upward speed
``(dz + g T^2 / 2) / T`` and keeps its horizontal velocity. A motion whose take-off is slower than that hangs in the
air; nothing can add horizontal speed.

Measured are frames that are surely in the air: intervals reach from the first to the last frame without contact, so a
label that starts or ends a frame late does no harm.
"""

from __future__ import annotations

import attrs
import torch
from torch import Tensor

__all__ = ["GRAVITY", "MAX_DEFICIT", "MAX_SPEED_CHANGE", "Flights", "airborne_frames", "measure_flights"]

GRAVITY = 9.81  # m/s^2
MAX_DEFICIT = 0.3  # m/s, missing take-off speed beyond which a flight is impossible
MAX_SPEED_CHANGE = 0.5  # m/s, likewise for the change of the horizontal velocity
_SPEED_WINDOW_S = 0.05  # s over which a speed is measured
_MIN_FRAMES = 4  # frames in the air; shorter intervals say nothing about speeds


@attrs.frozen(kw_only=True, eq=False)
class Flights:
    """The F flights of a clip."""

    first: Tensor  # [F] int64, first frame in the air
    last: Tensor  # [F] int64, last frame in the air
    duration: Tensor  # [F] s, between these two frames
    takeoff_speed: Tensor  # [F] m/s, upward speed of the center of mass in the first frame
    needed_speed: Tensor  # [F] m/s, the one with which a body gets to where the last frame is
    speed_change: Tensor  # [F] m/s, change of the horizontal velocity from start to end
    fall: Tensor  # [F] m/s^2, mean downward acceleration; 9.81 in a real flight

    @property
    def deficit(self) -> Tensor:
        """Upward speed that is missing at take-off, ``[F]`` m/s."""
        return self.needed_speed - self.takeoff_speed

    def impossible(
        self, max_deficit: float = MAX_DEFICIT, max_speed_change: float = MAX_SPEED_CHANGE
    ) -> Tensor:
        """Which flights no body could make, ``[F]`` bool."""
        return (self.deficit > max_deficit) | (self.speed_change > max_speed_change)


def airborne_frames(
    contacts: Tensor, clearance: Tensor, threshold: float = 0.5, height: float = 0.02
) -> Tensor:
    """Frames in which nothing holds the body: no contact label, and not even near the ground: ``[..., T]`` bool.

    Args:
        contacts: labels, ``[..., T, B]`` 0..1; above `threshold` means contact.
        clearance: distance of the body's nearest point to the ground, ``[..., T]`` m.
        height: a body no further from the ground than this may stand on it, m.
    """
    return (contacts.amax(dim=-1) <= threshold) & (clearance > height)


def measure_flights(center: Tensor, airborne: Tensor, fps: float, gravity: float = GRAVITY) -> Flights:
    """The flights of one clip, of at least four frames each.

    Args:
        center: center of mass, ``[T, 3]`` m.
        airborne: ``[T]`` bool; see `airborne_frames`.
        gravity: m/s^2.
    """
    edge = torch.nn.functional.pad(airborne.long(), (1, 1)).diff()
    first, last = (edge == 1).nonzero()[:, 0], (edge == -1).nonzero()[:, 0] - 1
    long = last - first + 1 >= _MIN_FRAMES
    first, last = first[long], last[long]
    steps = last - first
    most = max(1, min(round(_SPEED_WINDOW_S * fps), len(airborne)))
    window = (steps // 2).clamp(max=most)
    duration, span = steps.to(center.dtype) / fps, window.to(center.dtype) / fps
    start = (center[first + window] - center[first]) / span[:, None]  # mean velocity of the window
    end = (center[last] - center[last - window]) / span[:, None]
    climb = center[last, 2] - center[first, 2]
    return Flights(
        first=first,
        last=last,
        duration=duration,
        takeoff_speed=start[:, 2] + 0.5 * gravity * span,  # the window's mean is that of its middle
        needed_speed=(climb + 0.5 * gravity * duration.square()) / duration,
        speed_change=(end[:, :2] - start[:, :2]).norm(dim=-1),
        fall=(start[:, 2] - end[:, 2]) / (duration - span),
    )
