"""Which body of a rig is the left knee: anatomical landmarks found by name and checked by topology.

Names are compared without namespace, prefix of the exporting program, separators and case, with the side taken off
in any of the usual ways (``LeftUpLeg``, ``lfemur``, ``L_Hip``, ``right_thigh``, ``Bip01 R Calf``). What a word means
depends on the others: a ``LeftShoulder`` is a collar bone next to a ``LeftArm`` and the joint itself without one.

Source: body names of the CMU database (ASF and its BVH conversion), Mixamo, MotionBuilder, SMPL, Xsens MVN, LAFAN1,
DeepMimic, AMP and the humanoid of PARC.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

import attrs

from parc_motion.errors import DataError

__all__ = ["CENTRAL", "SIDED", "SIDES", "Landmarks", "find_landmarks"]

SIDES = ("left", "right")

# landmark -> words for it, the surest first
SIDED = {
    "hip": ("upleg", "thigh", "upperleg", "legupper", "femur", "hip", "hipyaw", "hippitch", "hiproll"),
    "knee": ("leg", "shin", "lowerleg", "lowleg", "leglower", "calf", "tibia", "knee"),
    "ankle": ("ankle", "foot", "anklepitch", "ankleroll"),
    "toe": ("toebase", "toes", "toe", "toe0", "ball", "foot"),
    "shoulder": ("arm", "upperarm", "uparm", "armupper", "humerus", "shoulder", "shoulderpitch"),
    "elbow": ("forearm", "lowerarm", "lowarm", "armlower", "radius", "elbow"),
    "wrist": ("wrist", "hand"),
}
CENTRAL = {
    "pelvis": ("pelvis", "hips", "hip", "root"),
    "spine": ("lowerback", "spine", "abdomen", "waist", "l5", "spine0", "spine1", "torso", "chest"),
    "chest": (
        "upperchest",
        "chest",
        "thorax",
        "spine3",
        "upperback",
        "t8",
        "spine2",
        "spine1",
        "torso",
        "spine",
    ),
    "neck": ("neck", "lowerneck", "neck0", "neck1", "upperneck"),
    "head": ("head",),
    "head_top": ("headtopend", "headtop", "headend", "headnub", "headsite"),
}
_LIMBS = (("hip", "knee", "ankle", "toe"), ("shoulder", "elbow", "wrist"))
_NEEDED = ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")
_PREFIX = re.compile(
    r"^(character|mixamorig|bip|biped|actor|skeleton|skel|subject)_?\d*[_ \-.]+", re.IGNORECASE
)
_TOKEN = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_IDLE_WORDS = ("link", "joint", "jnt", "body")


@attrs.frozen(kw_only=True)
class Landmarks:
    """Index of the body at each landmark that was found: ``pelvis``, ``left_knee``, ... see `SIDED` and `CENTRAL`."""

    bodies: dict[str, int]

    def __contains__(self, name: str) -> bool:
        return name in self.bodies

    def __getitem__(self, name: str) -> int:
        return self.bodies[name]

    def first(self, *names: str) -> int | None:
        """Body of the first of these landmarks that exists."""
        return next((self.bodies[name] for name in names if name in self.bodies), None)

    @property
    def missing(self) -> tuple[str, ...]:
        """What a human needs and the rig lacks, named as landmarks."""
        wanted = [f"{side}_{part}" for part in _NEEDED for side in SIDES]
        lacks = [name for name in wanted if name not in self.bodies]
        lacks += [] if "neck" in self.bodies or "head" in self.bodies else ["head"]
        return tuple(lacks)

    def require_human(self, what: str, body_names: Sequence[str]) -> None:
        """Nothing, if the limbs, the trunk and the head of a human were found.

        Raises:
            DataError: something is missing; the text lists the rig's bodies.
        """
        if self.missing:
            raise DataError(
                f"{what}: no body for {', '.join(self.missing)} among its {len(body_names)} bodies "
                f"({', '.join(body_names)}). Rename its bodies after a common rig, e.g. 'LeftLeg' for the left knee."
            )


def find_landmarks(body_names: Sequence[str], parents: Sequence[int], what: str) -> Landmarks:
    """The landmarks of a rig.

    Args:
        parents: index of each body's parent, -1 for the root.
        what: names the rig in errors.

    Raises:
        DataError: names and tree disagree, e.g. a knee that is not a descendant of its hip.
    """
    weight = _descendants(parents)
    words = [_words(name) for name in body_names]
    found: dict[str, int] = {}
    for part, synonyms in SIDED.items():
        for side in SIDES:
            taken = found.get(f"{side}_ankle") if part == "toe" else None
            body = _best(words, side, synonyms, weight, taken)
            if body is not None:
                found[f"{side}_{part}"] = body
    for part, synonyms in CENTRAL.items():
        body = _best(words, "", synonyms, weight, None)
        if body is not None:
            found[part] = body
    _from_tree(found, parents)
    _check_tree(found, body_names, parents, what)
    return Landmarks(bodies=found)


def _words(name: str) -> list[tuple[str, str]]:
    """The readings of a name as (side, word)."""
    bare = _PREFIX.sub("", re.split(r"[:|]", name)[-1])
    tokens = [token.lower() for token in _TOKEN.findall(bare)]
    while len(tokens) > 1 and tokens[-1] in _IDLE_WORDS:
        tokens.pop()
    sides = {"left": "left", "l": "left", "right": "right", "r": "right"}
    readings = [("", "".join(tokens))]
    if len(tokens) > 1 and tokens[0] in sides:
        readings.append((sides[tokens[0]], "".join(tokens[1:])))
    if len(tokens) > 1 and tokens[-1] in sides:
        readings.append((sides[tokens[-1]], "".join(tokens[:-1])))
    whole = "".join(tokens)
    for prefix, side in sides.items():  # lfemur, leftupleg
        if whole.startswith(prefix):
            readings.append((side, whole[len(prefix) :]))
    return readings


def _best(
    words: list[list[tuple[str, str]]],
    side: str,
    synonyms: tuple[str, ...],
    weight: list[int],
    taken: int | None,
) -> int | None:
    """The body with the surest word; of several the one with the largest subtree (others are meshes and markers)."""
    for synonym in synonyms:
        bodies = [b for b, readings in enumerate(words) if (side, synonym) in readings and b != taken]
        if bodies:
            return max(bodies, key=lambda b: (weight[b], -b))
    return None


def _from_tree(found: dict[str, int], parents: Sequence[int]) -> None:
    """Trunk landmarks that the tree knows better than names: where the limbs meet."""
    if all(parent <= 0 for parent in parents):
        return  # loose markers
    if "left_hip" in found and "right_hip" in found:
        found["pelvis"] = _meeting(found["left_hip"], found["right_hip"], parents)
    if "left_shoulder" in found and "right_shoulder" in found:
        chest = _meeting(found["left_shoulder"], found["right_shoulder"], parents)
        if chest not in (0, found.get("pelvis")):
            found["chest"] = chest


def _check_tree(found: dict[str, int], names: Sequence[str], parents: Sequence[int], what: str) -> None:
    if all(parent <= 0 for parent in parents):
        return  # loose markers have no tree to check with
    for side in SIDES:
        for limb in _LIMBS:
            bodies = [found[f"{side}_{part}"] for part in limb if f"{side}_{part}" in found]
            for upper, lower in itertools.pairwise(bodies):
                if upper not in _ancestors(lower, parents):
                    raise DataError(
                        f"{what}: by their names '{names[upper]}' comes before '{names[lower]}' in a {side} limb, but "
                        f"it is not above it in the tree. Rename the bodies, or check the file's hierarchy."
                    )


def _ancestors(body: int, parents: Sequence[int]) -> list[int]:
    chain = []
    while body >= 0:
        chain.append(body)
        body = parents[body]
    return chain


def _meeting(a: int, b: int, parents: Sequence[int]) -> int:
    above = set(_ancestors(a, parents))
    return next(body for body in _ancestors(b, parents) if body in above)


def _descendants(parents: Sequence[int]) -> list[int]:
    counts = [0] * len(parents)
    for body in range(len(parents) - 1, 0, -1):
        counts[parents[body]] += counts[body] + 1
    return counts
