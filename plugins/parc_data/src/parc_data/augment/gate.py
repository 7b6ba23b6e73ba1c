"""Quality checks of optimized variations."""

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
    """Why a variation was rejected."""

    reason: str  # e.g. "penetration", for counting
    text: str  # with the value


@attrs.frozen(kw_only=True)
class Deviation:
    """How far the optimized clip is from the clip that the optimizer was given."""

    root_m: float  # largest displacement of the root
    pose_rad: float  # mean rotation over the joints, in the frame where it is largest
    contact_share: float  # share of the contact labels of feet and hands that remain
    frames_share: float  # share of the frames that remain


class Gate:
    """Checks variations of one clip against the limits; faults that the clip itself has are not counted."""

    def __init__(self, skeleton: Skeleton, config: GateConfig, original: MotionClip) -> None:
        self.config = config
        self.validator = Validator(skeleton, config)
        self.own: dict[str, float] = {}  # worst value of each check on the original
        for finding in self.validator.check([original])[0]:
            worst = self.own.get(finding.check, -np.inf)
            self.own[finding.check] = max(worst, np.inf if finding.value is None else finding.value)

    def footing(self, share: float) -> Refusal | None:
        """A refusal if a foot or hand in contact lacks ground; checked before anything is optimized."""
        if share >= self.config.min_footing:
            return None
        text = f"the ground has the right height under {100 * share:.0f} % of a foot or hand in contact"
        return Refusal("footing", text)

    def refusal(self, sampled: MotionClip, refined: Refined, left: Deviation) -> Refusal | None:
        """Why the optimized variation is rejected; None if it is good enough.

        Args:
            sampled: the variation before it was optimized.
            left: how far the optimizer went from it.
        """
        clip, config = refined.clip, self.config
        if left.frames_share < config.min_frames_share:
            return Refusal("frames", f"{clip.num_frames} of {sampled.num_frames} frames are left")
        for finding in self.validator.check([clip])[0]:
            if finding.level != "note" and not self._is_own(finding):
                return Refusal(finding.check, finding.text)
        if left.root_m > config.max_root_deviation:
            return Refusal("root_deviation", f"the root moved by {left.root_m:.2f} m")
        if left.pose_rad > config.max_pose_deviation:
            text = f"the joints rotated by {left.pose_rad:.2f} rad on average in one frame"
            return Refusal("pose_deviation", text)
        if left.contact_share < config.min_contact_share:
            text = f"{100 * left.contact_share:.0f} % of the contacts of feet and hands remain"
            return Refusal("lost_contacts", text)
        return None

    def _is_own(self, finding: Finding) -> bool:
        worst = self.own.get(finding.check, -np.inf)
        return (finding.value is None and finding.check in self.own) or (finding.value or 0.0) <= worst


def deviation(sampled: MotionClip, refined: Refined, key_bodies: Sequence[int]) -> Deviation:
    """How far an optimized clip is from the clip that the optimizer was given.

    Raises:
        DataError: the removed frames that it reports do not explain how many are left.
    """
    clip = refined.clip
    kept = np.setdiff1d(np.arange(sampled.num_frames), refined.removed_frames)
    if len(kept) != clip.num_frames:
        raise DataError(
            f"clip '{clip.name}': the optimizer returned {clip.num_frames} of {sampled.num_frames} frames and says "
            f"that it removed {len(refined.removed_frames)}. Use another one, or report it to its authors."
        )
    before, after = torch.tensor(sampled.joint_rot[kept]), torch.tensor(clip.joint_rot)
    had_contacts = sampled.contacts[kept][:, list(key_bodies)] > _LABEL
    kept_contacts = clip.contacts[:, list(key_bodies)] > _LABEL
    return Deviation(
        root_m=float(np.linalg.norm(clip.root_pos - sampled.root_pos[kept], axis=-1).max()),
        pose_rad=float(rot.angle_between(before, after).mean(dim=-1).max()),
        contact_share=float((had_contacts & kept_contacts).sum() / had_contacts.sum())
        if had_contacts.any()
        else 1.0,
        frames_share=len(kept) / sampled.num_frames,
    )
