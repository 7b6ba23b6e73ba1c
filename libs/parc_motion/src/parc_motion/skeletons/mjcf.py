"""Characters from MJCF files.

Reads the part of MJCF that describes a character made of one body tree: bodies, hinges (three on a body make a ball
joint), primitive geoms, motor gears. What would change the character and is not read is an error that names the
element, not a guess; so is every element that names another file.

Source: loader rules of `parc_motion.published`. Unlike there, three hinges must share one place, and stiffness,
damping and armature must agree among them.
"""

from __future__ import annotations

import importlib.resources
import math
import pathlib
import xml.etree.ElementTree as ElementTree
from typing import Any, NoReturn

import numpy as np

from parc_motion.checks import MAX_BODIES, check_unit_quaternions
from parc_motion.errors import DataError
from parc_motion.skeletons.skeleton import Geom, Joint, JointKind, Skeleton
from parc_motion.skeletons.xml_tree import parse_xml
from parc_motion.storage import read_file

__all__ = ["builtin_characters", "load_skeleton", "parse_skeleton"]

_MAX_BYTES = 4 << 20
_MAX_NAME_CHARS = 200
_MAX_M = 100.0  # from a body to its parts
_MAX_NUMBER = 1e9
_MIN_LENGTH = 1e-6
_SIZES = {"sphere": 1, "capsule": 2, "cylinder": 2, "box": 3}  # numbers of a geom's size
_ROTATIONS = ("euler", "axisangle", "xyaxes", "zaxis")
# elements that stand for others, or load files and code
_UNREAD = {"include", "attach", "frame", "replicate", "composite", "flexcomp", "model", "extension", "plugin"}


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
        text = read_file(path, _MAX_BYTES, "characters").decode()
    except UnicodeDecodeError as err:
        raise DataError(f"{path}: cannot read: {err}.") from err
    return parse_skeleton(text, path.stem, str(path))


def parse_skeleton(text: str, skeleton_id: str, source: str) -> Skeleton:
    """The skeleton in an MJCF text; `source` is what errors name.

    Raises:
        DataError: it is not MJCF, or holds something that is not supported.
    """
    return _Reader(parse_xml(text, source), source).read(skeleton_id, text)


class _Reader:
    def __init__(self, root: ElementTree.Element, source: str) -> None:
        self.root, self.source = root, source
        self.refuse_unread()
        self.to_rad = math.pi / 180.0 if self.angle() == "degree" else 1.0
        default_geom = root.find("default/geom")
        self.geom_defaults = dict(default_geom.attrib) if default_geom is not None else {}
        self.gear = {
            m.get("joint", ""): float(self.numbers(m, "gear", None, (1.0,), most=6)[0])
            for m in root.findall("actuator/*")
        }
        self.names: list[str] = []
        self.joint_names: set[str] = set()
        self.parents: list[int] = []
        self.offsets: list[np.ndarray] = []
        self.joints: list[Joint] = []
        self.geoms: list[Geom] = []

    def refuse_unread(self) -> None:
        """Passes if nothing is there that MuJoCo would read, and this reader would pass over."""
        if self.root.tag != "mujoco":
            self.fail(f"the root element is <{self.root.tag:.40}>, expected <mujoco>")
        for element in self.root.iter():
            if element.tag in _UNREAD:
                self.fail(f"<{element.tag}> is not read. Write out what it stands for")
            named = [name for name in ("file", "class", "childclass") if name in element.attrib]
            if named and element.tag != "default":
                value = element.attrib[named[0]]
                self.fail(
                    f"<{element.tag:.40} {named[0]}={value!r:.80}>: other files and classes of defaults are not read. "
                    "Write out what it stands for"
                )

        defaults = self.root.findall("default/*")
        unread = [
            one.tag for one in defaults if one.tag in ("default", "joint", "motor", "general", "position")
        ]
        if unread or sum(one.tag == "geom" for one in defaults) > 1:
            self.fail(
                f"<default> holds <{(unread or ['geom'])[0]}>; only one <geom> is read there. Write it out"
            )

    def angle(self) -> str:
        compiler = self.root.find("compiler")
        if compiler is None:
            return "degree"
        angle, coordinate = compiler.get("angle", "degree"), compiler.get("coordinate", "local")
        if angle not in ("degree", "radian") or coordinate != "local":
            self.fail(
                f"compiler: angle {angle!r:.40} and coordinate {coordinate!r:.40}, expected 'degree' or 'radian', and "
                "'local'"
            )
        return angle

    def read(self, skeleton_id: str, text: str) -> Skeleton:
        trees = self.root.findall("worldbody/body")
        if len(trees) != 1:
            self.fail(
                f"worldbody has {len(trees) or 'no'} {'bodies' if trees else 'body'}; a character is one tree"
            )
        self.body(trees[0], -1)
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
        place = {body: index for index, body in enumerate(self.names)}
        unknown = [body for body in found if body not in place]
        if unknown:
            self.fail(f"{name} lists {unknown[0]!r:.80}, but the bodies are {', '.join(self.names):.2000}")
        if len(found) != len(set(found)):
            self.fail(f"{name} lists a body twice")
        return tuple(place[body] for body in found)

    def body(self, element: ElementTree.Element, parent: int) -> None:
        name = element.get("name") or self.fail("a body has no name")
        if not name.isprintable() or len(name) > _MAX_NAME_CHARS:
            self.fail(f"body {name!r:.80}: a name is printable text of up to {_MAX_NAME_CHARS} characters")
        if name in self.names:
            self.fail(f"two bodies are called '{name}'")
        if len(self.names) == MAX_BODIES:
            self.fail(f"more than {MAX_BODIES} bodies")
        if parent >= 0:
            self.refuse_rotation(
                element, f"body '{name}'", ("quat", *_ROTATIONS), "give the rotation to its joint"
            )
        index = len(self.names)
        self.names.append(name)
        self.parents.append(parent)
        offset = self.numbers(element, "pos", 3, (0, 0, 0), _MAX_M) if parent >= 0 else np.zeros(3)
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
                self.fail(f"joint '{joint.get('name', '')[:80]}' of body '{body}' lies off the body's origin")
        if not joints:
            return Joint(name=body, kind=JointKind.FIXED)
        types = [j.get("type", "hinge")[:40] for j in joints]
        if len(joints) not in (1, 3) or set(types) != {"hinge"}:
            self.fail(
                f"body '{body}' has {len(joints)} joint(s) of types {types[:6]}; "
                "supported: none, one hinge, three hinges about x, y, z"
            )
        first = joints[0]
        name = self.joint_name(first, body)
        ranges = [self.limits(j) for j in joints]
        fields: dict[str, Any] = {
            "lower": [low for low, _ in ranges],
            "upper": [high for _, high in ranges],
            "gear": self.gear.get(name, 0.0),
            **{
                key: self.number(first, field, 0.0, low=0.0)
                for key, field in (("kp", "stiffness"), ("kd", "damping"), ("armature", "armature"))
            },
        }
        axes = [self.numbers(j, "axis", 3, (0, 0, 1)) for j in joints]
        if len(joints) == 1:
            length = np.linalg.norm(axes[0])
            if length < _MIN_LENGTH:
                self.fail(f"joint '{name}' turns about {axes[0].tolist()}, which is no direction")
            return Joint(name=name, kind=JointKind.HINGE, axis=axes[0] / length, **fields)
        if not np.allclose(axes, np.eye(3)):
            self.fail(f"the three hinges of body '{body}' turn about {axes}; expected x, y, z in this order")
        return Joint(name=name.rpartition("_")[0] or name, kind=JointKind.BALL, **fields)

    def joint_name(self, joint: ElementTree.Element, body: str) -> str:
        name = joint.get("name", body)
        if not name.isprintable() or len(name) > _MAX_NAME_CHARS or name in self.joint_names:
            self.fail(
                f"joint {name!r:.80}: a name is printable text, up to {_MAX_NAME_CHARS} characters, and unique"
            )
        self.joint_names.add(name)
        return name

    def limits(self, joint: ElementTree.Element) -> tuple[float, float]:
        if "range" not in joint.attrib:
            self.fail(f"joint '{joint.get('name', '')[:80]}' has no range")
        low, high = self.numbers(joint, "range", 2, ()) * self.to_rad
        if low > high:
            self.fail(f"joint '{joint.get('name', '')[:80]}' has the range {low:g} to {high:g} rad")
        return float(low), float(high)

    def geom(self, element: ElementTree.Element, body: int, body_name: str) -> Geom:
        element = ElementTree.Element("geom", {**self.geom_defaults, **element.attrib})
        where = f"a geom of body '{body_name}'"
        kind = element.get("type", "sphere")
        if kind not in _SIZES:
            self.fail(f"body '{body_name}' has a geom of type {kind!r:.40}; supported: {', '.join(_SIZES)}")
        self.refuse_rotation(element, where, _ROTATIONS, "write it as quat or fromto")
        pos, quat, count = np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0]), _SIZES[kind]
        if "fromto" in element.attrib:
            if kind not in ("capsule", "cylinder"):
                self.fail(f"{where} is a {kind} with fromto, which is read for capsules and cylinders")
            ends = self.numbers(element, "fromto", 6, (), _MAX_M).reshape(2, 3)
            pos, length = ends.mean(axis=0), np.linalg.norm(ends[1] - ends[0])
            if length < _MIN_LENGTH:
                self.fail(f"{where} begins and ends at the same point")
            size = np.array([self.numbers(element, "size", None, (), _MAX_M, most=3)[0], 0.5 * length])
            quat = _z_to((ends[1] - ends[0]) / length)
        else:
            pos = self.numbers(element, "pos", 3, (0, 0, 0), _MAX_M)
            size = self.numbers(element, "size", None, (), _MAX_M, most=3)[:count]
        if len(size) < count or size.min() <= 0:
            self.fail(f"{where} has size {size.tolist()} m; a {kind} needs {count} number(s) above 0")
        if "quat" in element.attrib:
            w, x, y, z = self.numbers(element, "quat", 4, ())
            quat = np.array([x, y, z, w])
            check_unit_quaternions(quat[None], f"{self.source}: {where}: quat")
        density = self.number(element, "density", 1000.0, low=0.0)
        return Geom(body=body, kind=kind, pos=pos, rot=quat, size=size, density=density)

    def refuse_rotation(
        self, element: ElementTree.Element, where: str, attributes: tuple[str, ...], advice: str
    ) -> None:
        found = [name for name in attributes if name in element.attrib]
        if found:
            self.fail(f"{where} is rotated ({found[0]}); {advice}")

    def number(self, element: ElementTree.Element, key: str, default: float, low: float) -> float:
        value = float(self.numbers(element, key, 1, (default,))[0])
        if value < low:
            self.fail(
                f"<{element.tag} name={element.get('name')!r:.80}> {key} is {value:g}, expected {low:g} or more"
            )
        return value

    def numbers(
        self,
        element: ElementTree.Element,
        key: str,
        count: int | None,
        default: tuple[float, ...],
        farthest: float = _MAX_NUMBER,
        most: int = 0,
    ) -> np.ndarray:
        """The finite numbers of an attribute: exactly `count` of them, or 1 to `most` where that is None."""
        text = element.get(key)
        if text is None and default:
            return np.array(default, dtype=float)
        try:
            values = np.array([float(x) for x in (text or "").split()])
        except ValueError:
            values = np.empty(0)
        if len(values) != count if count is not None else not 1 <= len(values) <= most:
            wanted = f"{count} numbers" if count is not None else f"1 to {most} numbers"
            self.fail(
                f"<{element.tag:.40} name={element.get('name')!r:.80}> {key}={text!r:.80}: expected {wanted}"
            )
        if not np.abs(values).max() <= farthest:
            self.fail(
                f"<{element.tag:.40} name={element.get('name')!r:.80}> {key}={text!r:.80}: expected numbers up to "
                f"{farthest:g}"
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
