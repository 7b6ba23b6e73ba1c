"""Provenance of clips that were made from other clips."""

from __future__ import annotations

from typing import Any

import attrs

from parc_motion.clips import MotionClip, Provenance

__all__ = ["derived"]


def derived(clip: MotionClip, provider: str, parent: str, **notes: Any) -> MotionClip:
    """The clip with the provenance of a tool's output; scores of the original are dropped, they no longer hold.

    Args:
        parent: digest of the file that it was made from.
        notes: JSON values, added to those of the original.
    """
    old = clip.provenance
    provenance = Provenance(
        stage=old.stage or "dataset",
        provider=provider,
        seed=old.seed,
        parents=(parent,),
        notes={**old.notes, **notes, "made_by": old.provider} if old.provider else {**old.notes, **notes},
    )
    return attrs.evolve(clip, provenance=provenance)
