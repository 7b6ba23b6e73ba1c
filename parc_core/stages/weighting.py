"""Sampling weights of a run's data set, as the iteration file sets them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs
import numpy as np

from parc_core.config import IterationConfig
from parc_core.stages.manifests import balance
from parc_motion.clips import DatasetEntry
from parc_motion.errors import DataError

__all__ = ["check_classes", "in_proportion_to_length", "weighted"]


def weighted(entries: Iterable[DatasetEntry], config: IterationConfig) -> list[DatasetEntry]:
    """The entries, in their order, with weights that sum to 1.

    `balance` and `class_weights` set them; the weights that the entries come with multiply them. `recorded_share` is of
    no effect where all entries are recorded, or none is:

    * None: recorded clips count like any other of their class.
    * a number: inputs and recorded clips are balanced each by themselves, and this share of the total weight goes to
      the recorded ones.
    * "published": every folder of recorded clips counts as a class. Source: data-set creation of
      `parc_motion.published`, where the class of a clip is the name of its folder, and recordings lie in folders of
      fifty.

    Raises:
        DataError: two clips have the same name, or all weights are 0.
    """
    entries, share = list(entries), config.recorded_share
    is_recorded = [entry.origin == "recorded" for entry in entries]
    if share is None or len(set(is_recorded)) < 2:
        return balance(entries, config.balance, config.class_weights)
    if share == "published":
        classes = [
            f"recorded/{entry.file.parent.name}" if recorded else entry.motion_class
            for entry, recorded in zip(entries, is_recorded)
        ]
        return balance(entries, config.balance, config.class_weights, classes)
    return _shared(entries, is_recorded, share, config)


def check_classes(entries: Iterable[DatasetEntry], config: IterationConfig) -> None:
    """Passes if some clip has each class that `class_weights` names.

    Raises:
        DataError: none has; the text lists the classes that there are.
    """
    there = {entry.motion_class for entry in entries}
    unknown = sorted(config.class_weights.keys() - there)
    if unknown:
        raise DataError(
            f"class_weights: no clip of the data set has class '{unknown[0]}'. There are {', '.join(sorted(there))}. "
            "Correct `class_weights` in the iteration file."
        )


def in_proportion_to_length(entries: Iterable[DatasetEntry]) -> bool:
    """Whether weights are in proportion to length inside every class, as `parc data weights` makes them.

    Where no class holds clips of different lengths, nothing tells, and the answer is no.
    """
    members: dict[str, list[DatasetEntry]] = {}
    for entry in entries:
        members.setdefault(entry.motion_class, []).append(entry)
    ratios = [[one.weight / one.length for one in group] for group in members.values()]
    differ = any(len({one.length for one in group}) > 1 for group in members.values())
    return differ and all(np.allclose(ratio, ratio[0], rtol=1e-6, atol=0.0) for ratio in ratios)


def _shared(
    entries: Sequence[DatasetEntry], is_recorded: Sequence[bool], share: float, config: IterationConfig
) -> list[DatasetEntry]:
    balance(entries)  # refuses equal names across both groups
    weights: dict[str, float] = {}
    for group, part in ((False, 1.0 - share), (True, share)):
        members = [entry for entry, recorded in zip(entries, is_recorded) if recorded is group]
        if part > 0:
            members = balance(members, config.balance, config.class_weights)
        weights |= {entry.name: entry.weight * part for entry in members}
    return [attrs.evolve(entry, weight=weights[entry.name]) for entry in entries]
