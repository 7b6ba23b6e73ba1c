"""Characters from MJCF files.

Reads the part of MJCF that describes a character made of one body tree: bodies, hinges (three on a body make a ball
joint), ball joints, primitive geoms, motor gears. Anything else is an error that names the element, not a guess.

Source: loader rules of `parc_motion.published`. Unlike there, three hinges must share one place, and stiffness,
damping and armature must agree among them.
"""

from __future__ import annotations

import importlib.resources
import math
import pathlib
import xml.etree.ElementTree as ElementTree
from typing import NoReturn

import numpy as np

from parc_motion.errors import DataError
from parc_motion.skeletons.skeleton import Geom, Joint, JointKind, Skeleton

__all__ = ["builtin_characters", "load_skeleton", "parse_skeleton"]

_MAX_BYTES = 4 << 20


def builtin_characters() -> list[str]:
    """Names that `load_skeleton` knows without a file."""
    folder = importlib.resources.files("parc_motion") / "characters"
    return sorted(
        entry.name.removesuffix(".xml") for entry in folder.iterdir() if entry.name.endswith(".xml")
    )


def load_skeleton(character: str | pathlib.Path = "humanoid") -> Skeleton:
    """The skeleton of a built-in character or of an MJCF file.

    Args:
        character: a name from `builtin_characters`, or the path of an `.xml` file.

    Raises:
        DataError: no such character, or its file holds something that is not supported.
    """
    if str(character) in builtin_characters():
        text = (importlib.resources.files("parc_motion") / "characters" / f"{character}.xml").read_text()
        return parse_skeleton(text, str(character), f"characters/{character}.xml")
    path = pathlib.Path(character)
    if path.suffix != ".xml":
        raise DataError(
            f"character '{character}' does not exist. Built in: {', '.join(builtin_characters())}; "
            "or give the path of an MJCF file (.xml)."
        )
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise DataError(f"{path}: larger than {_MAX_BYTES >> 20} MiB. Is it a character?")
        return parse_skeleton(path.read_text(), path.stem, str(path))
    except (OSError, UnicodeDecodeError) as err:
        raise DataError(f"{path}: cannot read: {err}.") from err


def parse_skeleton(text: str, skeleton_id: str, source: str) -> Skeleton:
    """The skeleton in an MJCF text; `source` is what errors name."""
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise DataError(f"{source}: document type declarations are not read (they can expand without bound).")
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as err:
        raise DataError(f"{source}: not well-formed XML: {err}.") from err
    return _Reader(root, source).read(skeleton_id, text)


class _Reader:
    def __init__(self, root: ElementTree.Element, source: str) -> None:
        self.root, self.source = root, source
        compiler = root.find("compiler")
        angle = compiler.get("angle", "degree") if compiler is not None else "degree"
        self.to_rad = math.pi / 180.0 if angle == "degree" else 1.0
        default_geom = root.find("default/geom")
        self.geom_defaults = dict(default_geom.attrib) if default_geom is not None else {}
        self.gear = {
            m.get("joint", ""): float(m.get("gear", "1").split()[0]) for m in root.findall("actuator/*")
        }
        self.names: list[str] = []
        self.parents: list[int] = []
        self.offsets: list[np.ndarray] = []
        self.joints: list[Joint] = []
        self.geoms: list[Geom] = []

    def read(self, skeleton_id: str, text: str) -> Skeleton:
        first = self.root.find("worldbody/body")
        if first is None:
            self.fail("worldbody has no body")
        self.body(first, -1)
        hands, feet = self.declared("parc_hands"), self.declared("parc_feet")
        return Skeleton(
            id=skeleton_id,
            body_names=tuple(self.names),
            parents=tuple(self.parents),
            offsets=np.array(self.offsets),
            joints=tuple(self.joints),
            geoms=tuple(self.geoms),
            hands=hands,
            feet=feet,
            key_bodies=(*hands, *feet),
            mjcf=text,
        )

    def declared(self, name: str) -> tuple[int, ...]:
        """Bodies that ``<custom><text name="..." data="..."/></custom>`` lists; none where it is missing."""
        texts = [text for text in self.root.findall("custom/text") if text.get("name") == name]
        found = [body for text in texts for body in text.get("data", "").split()]
        unknown = [body for body in found if body not in self.names]
        if unknown:
            self.fail(f"{name} lists '{unknown[0]}', but the bodies are {', '.join(self.names)}")
        return tuple(self.names.index(body) for body in found)

    def body(self, element: ElementTree.Element, parent: int) -> None:
        name = element.get("name") or self.fail("a body has no name")
        if name in self.names:
            self.fail(f"two bodies are called '{name}'")
        for attribute in ("quat", "euler", "axisangle", "xyaxes", "zaxis"):
            if parent >= 0 and attribute in element.attrib:
                self.fail(f"body '{name}' is rotated ({attribute}); give the rotation to its joint")
        index = len(self.names)
        self.names.append(name)
        self.parents.append(parent)
        offset = self.numbers(element, "pos", 3, (0, 0, 0)) if parent >= 0 else np.zeros(3)
        self.offsets.append(offset)
        if parent >= 0:
            self.joints.append(self.joint(element, name))
        for geom in element.findall("geom"):
            self.geoms.append(self.geom(geom, index, name))
        for child in element.findall("body"):
            self.body(child, index)

    def joint(self, element: ElementTree.Element, body: str) -> Joint:
        joints = element.findall("joint")
        for joint in joints:
            if np.any(self.numbers(joint, "pos", 3, (0, 0, 0)) != 0):
                self.fail(f"joint '{joint.get('name')}' of body '{body}' lies off the body's origin")
        if not joints:
            return Joint(name=body, kind=JointKind.FIXED)
        first = joints[0]
        name = first.get("name", body)
        gains = {
            key: float(first.get(field, 0))
            for key, field in (("kp", "stiffness"), ("kd", "damping"), ("armature", "armature"))
        }
        if len(joints) == 1 and first.get("type", "hinge") == "hinge":
            low, high = self.limits(first)
            axis = self.numbers(first, "axis", 3, (0, 0, 1))
            gear = self.gear.get(name, 0.0)
            return Joint(
                name=name,
                kind=JointKind.HINGE,
                axis=axis / np.linalg.norm(axis),
                lower=[low],
                upper=[high],
                gear=gear,
                **gains,
            )
        if len(joints) == 3 and all(j.get("type", "hinge") == "hinge" for j in joints):
            axes = [self.numbers(j, "axis", 3, (0, 0, 1)) for j in joints]
            if not np.allclose(axes, np.eye(3)):
                self.fail(
                    f"the three hinges of body '{body}' turn about {axes}; expected x, y, z in this order"
                )
            ranges = [self.limits(j) for j in joints]
            gear = self.gear.get(name, 0.0)
            lower, upper = [r[0] for r in ranges], [r[1] for r in ranges]
            return Joint(
                name=name.rpartition("_")[0] or name,
                kind=JointKind.BALL,
                lower=lower,
                upper=upper,
                gear=gear,
                **gains,
            )
        types = [j.get("type", "hinge") for j in joints]
        self.fail(
            f"body '{body}' has {len(joints)} joint(s) of types {types}; "
            "supported: none, one hinge, three hinges about x, y, z"
        )

    def limits(self, joint: ElementTree.Element) -> tuple[float, float]:
        if "range" not in joint.attrib:
            self.fail(f"joint '{joint.get('name')}' has no range")
        low, high = self.numbers(joint, "range", 2, ()) * self.to_rad
        return float(low), float(high)

    def geom(self, element: ElementTree.Element, body: int, body_name: str) -> Geom:
        field = {**self.geom_defaults, **element.attrib}
        kind = field.get("type", "sphere")
        size = np.array([float(x) for x in field.get("size", "0").split()])
        pos, quat = np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0])
        if kind not in ("sphere", "capsule", "cylinder", "box"):
            self.fail(
                f"body '{body_name}' has a geom of type '{kind}'; supported: sphere, capsule, cylinder, box"
            )
        if "fromto" in field:
            ends = np.array([float(x) for x in field["fromto"].split()]).reshape(2, 3)
            pos = ends.mean(axis=0)
            length = np.linalg.norm(ends[1] - ends[0])
            size = np.array([size[0], 0.5 * length])
            quat = _z_to((ends[1] - ends[0]) / length)
        elif "pos" in field:
            pos = np.array([float(x) for x in field["pos"].split()])
        if "quat" in field:
            w, x, y, z = (float(v) for v in field["quat"].split())
            quat = np.array([x, y, z, w])
        return Geom(
            body=body, kind=kind, pos=pos, rot=quat, size=size, density=float(field.get("density", 1000))
        )

    def numbers(
        self, element: ElementTree.Element, key: str, count: int, default: tuple[float, ...]
    ) -> np.ndarray:
        text = element.get(key)
        if text is None:
            return np.array(default, dtype=float)
        try:
            values = np.array([float(x) for x in text.split()])
        except ValueError:
            values = np.empty(0)
        if len(values) != count:
            self.fail(
                f"<{element.tag} name='{element.get('name')}'> {key}='{text}': expected {count} numbers"
            )
        return values

    def fail(self, what: str) -> NoReturn:
        raise DataError(f"{self.source}: {what}.")


def _z_to(direction: np.ndarray) -> np.ndarray:
    """Shortest rotation that takes z to the unit direction, ``[4]`` xyzw."""
    if direction[2] < -1 + 1e-9:
        return np.array([1.0, 0.0, 0.0, 0.0])
    quat = np.array([-direction[1], direction[0], 0.0, 1.0 + direction[2]])
    return quat / np.linalg.norm(quat)
