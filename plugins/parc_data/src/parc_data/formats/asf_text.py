"""The text of an .asf: the skeleton of Acclaim motions, as written.

Source: the Acclaim format as the files of mocap.cs.cmu.edu use it.
"""

from __future__ import annotations

from typing import NoReturn

import attrs
import numpy as np

from parc_data.formats.format import MAX_BODIES, MAX_NAME_CHARS
from parc_motion.errors import DataError

__all__ = ["LARGEST", "AsfBone", "AsfSkeleton", "parse_asf", "read_number"]

LARGEST = 1e7  # 10 km in millimeters, far more turns than a recording holds
_DOFS = ("tx", "ty", "tz", "rx", "ry", "rz")


@attrs.frozen(kw_only=True)
class AsfBone:
    """A bone, or the root with a bone of no length."""

    name: str
    parent: int  # -1 for the root
    vector: np.ndarray  # [3] from its start to its end in the rest pose, world axes, units of the file
    frame: np.ndarray  # [3] angles of its own axes, unit of the file, in the order of `order`
    order: str  # such as "xyz": the rotation about the first letter comes first
    dofs: tuple[str, ...]  # tx ty tz rx ry rz, in the order of the .amc


@attrs.frozen(kw_only=True)
class AsfSkeleton:
    """Content of an .asf; bones depth first, the root as number 0."""

    bones: tuple[AsfBone, ...]
    length_unit: float
    degrees: bool


def parse_asf(data: bytes, where: str) -> AsfSkeleton:
    """The skeleton of an .asf file.

    Raises:
        DataError: the text is not .asf; names line and field.
    """
    return _Asf(data.decode(errors="replace"), where).read()


def read_number(text: str) -> float | None:
    """The number; None if the text is not a number or its size is implausible."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) <= LARGEST and "_" not in text else None


class _Asf:
    def __init__(self, text: str, where: str) -> None:
        self.where = where
        self.lines = [
            (number, line.split("#")[0].split()) for number, line in enumerate(text.split("\n"), start=1)
        ]
        self.lines = [(number, words) for number, words in self.lines if words]
        self.units = {"length": "1", "angle": "deg"}
        self.raw: dict[str, dict[str, list[str]]] = {"root": {}}
        self.place: dict[str, int] = {"root": 1}  # line where a bone begins
        self.parents: dict[str, str] = {}
        self.children: dict[str, list[str]] = {"root": []}
        self.line = 1

    def read(self) -> AsfSkeleton:
        """The skeleton."""
        section, seen, block = "", set(), None
        for number, words in self.lines:
            self.line = number
            if words[0].startswith(":"):
                section, block = words[0].lower(), None
                seen.add(section)
            elif section == ":units":
                self.units[words[0].lower()] = words[1] if len(words) > 1 else ""
            elif section == ":root":
                self.raw["root"][words[0].lower()] = words[1:]
            elif section == ":bonedata":
                block = self.bone_line(words, block)
            elif section == ":hierarchy" and words[0].lower() not in ("begin", "end"):
                self.hierarchy_line(words)
        for needed in (":root", ":bonedata", ":hierarchy"):
            if needed not in seen:
                raise DataError(f"{self.where}: no section '{needed}'. Is the file truncated, or not .asf?")
        if block is not None:
            self.fail("a bone has no 'end'")
        return self.assemble()

    def bone_line(self, words: list[str], block: dict[str, list[str]] | None) -> dict[str, list[str]] | None:
        """Takes one line of bonedata; returns the block that is open after it."""
        word = words[0].lower()
        if word == "begin" and block is None:
            return {}
        if block is None:
            self.fail(f"expected 'begin', not '{words[0]}'")
        if word == "end":
            name = (block.get("name") or [""])[0]
            if len(name) > MAX_NAME_CHARS:
                self.fail(f"the name of a bone has {len(name)} characters, up to {MAX_NAME_CHARS} are read")
            if not name or name in self.raw:
                self.fail(f"the name of a bone is missing or repeated: '{name}'")
            if len(self.raw) >= MAX_BODIES:
                self.fail(f"more than {MAX_BODIES} bones")
            self.raw[name], self.place[name], self.children[name] = block, self.line, []
            return None
        if not word.startswith("("):  # more limits, which are not read
            block[word] = words[1:]
        return block

    def hierarchy_line(self, words: list[str]) -> None:
        """Takes "parent child child"."""
        for name in words:
            if name not in self.raw:
                self.fail(f"hierarchy names '{name}', which is not a bone of bonedata")
        for child in words[1:]:
            if child in self.parents or child == "root":
                self.fail(f"'{child}' gets a second parent, '{words[0]}'")
            self.parents[child] = words[0]
            self.children[words[0]].append(child)

    def assemble(self) -> AsfSkeleton:
        """Checks the fields and orders the bones."""
        length = read_number(self.units["length"])
        angle = self.units["angle"].lower()[:3]
        if length is None or not length > 0 or angle not in ("deg", "rad"):
            raise DataError(
                f"{self.where}: units: length is '{self.units['length']:.40}' and angle '{self.units['angle']:.40}', "
                "expected a number above 0, and deg or rad."
            )
        order, pending = [], ["root"]
        while pending:  # a cycle is never reached from the root
            order.append(pending.pop())
            pending.extend(reversed(self.children[order[-1]]))
        lost = sorted(set(self.raw) - set(order))
        if lost:
            raise DataError(f"{self.where}: hierarchy: '{lost[0]:.80}' does not descend from the root.")
        ids = {name: i for i, name in enumerate(order)}
        return AsfSkeleton(
            bones=tuple(self.bone(name, ids.get(self.parents.get(name, ""), -1)) for name in order),
            length_unit=length,
            degrees=angle == "deg",
        )

    def bone(self, name: str, parent: int) -> AsfBone:
        """A bone from its fields."""
        fields, self.line = self.raw[name], self.place[name]
        axis = fields.get("axis", [])
        if name == "root":
            frame, letters = self.numbers(name, fields, "orientation", 3), axis or ["XYZ"]
            dofs, vector = fields.get("order", []), np.zeros(3)
        else:
            frame, letters = self.numbers(name, fields, "axis", 3), axis[3:] or ["XYZ"]
            dofs = fields.get("dof", [])
            vector = self.numbers(name, fields, "direction", 3) * self.numbers(name, fields, "length", 1)
        turns = letters[0].lower()
        if sorted(turns) != ["x", "y", "z"]:
            self.fail(f"'{name}': axis order is '{letters[0]}', expected one like XYZ")
        dofs = [dof.lower() for dof in dofs]
        allowed = _DOFS if name == "root" else _DOFS[3:]
        if len(set(dofs)) < len(dofs) or not set(dofs) <= set(allowed):
            self.fail(
                f"'{name}': dof is '{' '.join(dofs)}', expected each of {' '.join(allowed)} at most once"
            )
        return AsfBone(name=name, parent=parent, vector=vector, frame=frame, order=turns, dofs=tuple(dofs))

    def numbers(self, name: str, fields: dict[str, list[str]], field: str, count: int) -> np.ndarray:
        """The first numbers of a field; `orientation` may be absent."""
        words = fields.get(field, ["0"] * count if field == "orientation" else [])
        values = [read_number(word) for word in words[:count]]
        if len(values) < count or None in values:
            self.fail(f"'{name}': {field} is '{' '.join(words)}', expected {count} finite numbers")
        return np.array(values, dtype=np.float64)

    def fail(self, what: str) -> NoReturn:
        """Raises an error at the present line."""
        raise DataError(f"{self.where}: line {self.line}: {what:.300}.")
