"""Whether an optimized variation is fit for a data set, and if not, why."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np
import torch

from parc_core.interfaces import Refined
from parc_data.augment.config import GateConfig
from parc_data.tools.findings import Finding
from parc_data.tools.validate import Validator
from parc_motion.clips import MotionClip
from parc_motion.errors import DataError
from parc_motion.kinematics import rotations as rot
from parc_motion.skeletons import Skeleton

__all__ = ["Deviation", "Gate", "Refusal", "deviation"]

_LABEL = 0.5


@attrs.frozen
class Refusal:
    """Why a variation is not kept."""

    reason: str  # e.g. "penetration", for counting
    text: str  # with the value


@attrs.frozen(kw_only=True)
class Deviation:
    """What the optimizer changed."""

    root_m: float  # furthest that the root was moved
    pose_rad: float  # mean angle over the joints, in the frame where it is largest
    contact_share: float  # of the labeled frames of feet and hands, those that are still labeled
    frames_share: float  # of the frames, those that are left


class Gate:
    """Judges variations of one clip against the limits, and against faults that the clip itself has."""

    def __init__(self, skeleton: Skeleton, config: GateConfig, original: MotionClip) -> None:
        self.config = config
        self.validator = Validator(skeleton, config)
        self.own: dict[str, float] = {}  # worst value of each check on the original
        for finding in self.validator.check([original])[0]:
            worst = self.own.get(finding.check, -np.inf)
            self.own[finding.check] = max(worst, np.inf if finding.value is None else finding.value)

    def footing(self, share: float) -> Refusal | None:
        """A refusal where the ground cannot serve a stand, found before anything is optimized."""
        if share >= self.config.min_footing:
            return None
        text = f"the ground has the right height under {100 * share:.0f} % of a standing foot or hand"
        return Refusal("footing", text)

    def judge(self, drawn: MotionClip, refined: Refined, left: Deviation) -> Refusal | None:
        """None for a good variation.

        Args:
            drawn: the variation before it was optimized.
            left: how far the optimizer went from it.
        """
        clip, config = refined.clip, self.config
        if left.frames_share < config.min_frames_share:
            return Refusal("frames", f"{clip.num_frames} of {drawn.num_frames} frames are left")
        for finding in self.validator.check([clip])[0]:
            if finding.level != "note" and not self._is_own(finding):
                return Refusal(finding.check, finding.text)
        if left.root_m > config.max_root_deviation:
            return Refusal("root_deviation", f"the root moved by {left.root_m:.2f} m")
        if left.pose_rad > config.max_pose_deviation:
            text = f"the joints turned by {left.pose_rad:.2f} rad in the mean of a frame"
            return Refusal("pose_deviation", text)
        if left.contact_share < config.min_contact_share:
            text = f"{100 * left.contact_share:.0f} % of the contacts of feet and hands remain"
            return Refusal("lost_contacts", text)
        return None

    def _is_own(self, finding: Finding) -> bool:
        worst = self.own.get(finding.check, -np.inf)
        return (finding.value is None and finding.check in self.own) or (finding.value or 0.0) <= worst


def deviation(drawn: MotionClip, refined: Refined, key_bodies: Sequence[int]) -> Deviation:
    """How far an optimizer went from what it got.

    Raises:
        DataError: the frames that it says to have removed do not explain those that are left.
    """
    clip = refined.clip
    kept = np.setdiff1d(np.arange(drawn.num_frames), refined.removed_frames)
    if len(kept) != clip.num_frames:
        raise DataError(
            f"clip '{clip.name}': the optimizer returned {clip.num_frames} of {drawn.num_frames} frames and says "
            f"that it removed {len(refined.removed_frames)}. Use another one, or report it to its authors."
        )
    before, after = torch.tensor(drawn.joint_rot[kept]), torch.tensor(clip.joint_rot)
    stood = drawn.contacts[kept][:, list(key_bodies)] > _LABEL
    stands = clip.contacts[:, list(key_bodies)] > _LABEL
    return Deviation(
        root_m=float(np.linalg.norm(clip.root_pos - drawn.root_pos[kept], axis=-1).max()),
        pose_rad=float(rot.angle_between(before, after).mean(dim=-1).max()),
        contact_share=float((stood & stands).sum() / stood.sum()) if stood.any() else 1.0,
        frames_share=len(kept) / drawn.num_frames,
    )
