"""The hierarchy of a BVH file: joints, their offsets and channels, as written.

Source: the BVH format has no normative text; the grammar is that of the files which Biovision, MotionBuilder, Blender
and the CMU conversions write.
"""

from __future__ import annotations

import re
from typing import NoReturn

import attrs
import numpy as np

from parc_data.formats.format import MAX_BODIES, MAX_NAME_CHARS
from parc_motion.errors import DataError

__all__ = ["LARGEST", "Hierarchy", "parse_hierarchy"]

LARGEST = 1e7  # 10 km in millimeters, far more degrees than a recording holds
_MAX_CHANNELS = 12  # of one joint
_CHANNEL = re.compile(r"[xyz](position|rotation)", re.IGNORECASE)


@attrs.frozen(kw_only=True)
class Hierarchy:
    """Joints and End Sites, parents first."""

    names: tuple[str, ...]  # [K], an End Site is "<joint>_end"
    parents: tuple[int, ...]  # [K], -1 for the root
    offsets: np.ndarray  # [K, 3] units of the file, parent frame
    # [K], Xposition as "xp", Zrotation as "zr", in the file's order
    channels: tuple[tuple[str, ...], ...]

    @property
    def columns(self) -> list[str]:
        """Name of every number of a frame, e.g. "Hips.xr"."""
        return [f"{name}.{channel}" for name, own in zip(self.names, self.channels) for channel in own]


def parse_hierarchy(text: str, where: str) -> Hierarchy:
    """The hierarchy in the part of a file before MOTION.

    Raises:
        DataError: the text is not BVH; names line and field.
    """
    return _Header(text, where).read()


class _Header:
    """Reads the part before MOTION, token by token."""

    def __init__(self, text: str, where: str) -> None:
        self.where, self.at = where, 0
        self.tokens: list[tuple[str, int]] = []
        for number, line in enumerate(text.split("\n"), 1):
            self.tokens += [(t, number) for t in line.replace("{", " { ").replace("}", " } ").split()]
        self.names: list[str] = []
        self.lines: list[int] = []
        self.parents: list[int] = []
        self.offsets: list[list[float] | None] = []
        self.channels: list[tuple[str, ...] | None] = []
        self.ends: set[int] = set()
        self.stack: list[int] = []

    def read(self) -> Hierarchy:
        """The hierarchy."""
        if self.take()[0].upper() != "HIERARCHY":
            self.at = 0
            self.fail("expected 'HIERARCHY' at the start", self.take()[0])
        while self.at < len(self.tokens):
            self.statement(*self.take())
        if self.stack:
            body = self.stack[-1]
            raise DataError(
                f"{self.where}: line {self.lines[body]}: the brace of '{self.names[body]}' is not closed before MOTION."
            )
        if not self.names:
            raise DataError(f"{self.where}: the hierarchy has no ROOT.")
        return Hierarchy(
            names=tuple(self.names),
            parents=tuple(self.parents),
            offsets=np.array(self.offsets, dtype=np.float64),
            channels=tuple(own or () for own in self.channels),
        )

    def statement(self, token: str, line: int) -> None:
        """Reads the statement that begins with `token`."""
        word = token.upper()
        if word == "ROOT" and not self.names:
            self.begin(self.rest_of_line(line), line)
        elif word == "ROOT":
            self.fail(f"a second ROOT; the first is '{self.names[0]}'. Split the file by character", token)
        elif word == "JOINT" and self.stack and self.stack[-1] not in self.ends:
            self.begin(self.rest_of_line(line), line)
        elif word == "END" and self.stack and self.stack[-1] not in self.ends:
            self.rest_of_line(line)  # "Site"
            self.begin(self.free_name(f"{self.names[self.stack[-1]]}_end"), line)
            self.ends.add(self.stack[-1])
        elif word == "OFFSET" and self.stack and self.offsets[self.stack[-1]] is None:
            self.offsets[self.stack[-1]] = [self.number("OFFSET") for _ in range(3)]
        elif word == "CHANNELS" and self.stack and self.channels[self.stack[-1]] is None:
            self.channels[self.stack[-1]] = self.channel_list()
        elif word == "}" and self.stack:
            self.close()
        else:
            self.fail(
                "expected ROOT, JOINT, End Site, OFFSET, CHANNELS or a brace, in the right place", token
            )

    def begin(self, name: str, line: int) -> None:
        """Begins a child of the current body."""
        if not name:
            self.fail("a joint has no name", "")
        if len(name) > MAX_NAME_CHARS:
            self.fail(f"a name of {len(name)} characters, up to {MAX_NAME_CHARS} are read", name)
        if name in self.names:
            first = self.lines[self.names.index(name)]
            self.fail(f"a second joint of this name; the first is on line {first}. Rename one", name)
        if len(self.names) >= MAX_BODIES:
            self.fail(f"more than {MAX_BODIES} joints", name)
        if self.take()[0] != "{":
            self.fail(f"expected '{{' after '{name}'", self.tokens[self.at - 1][0])
        self.parents.append(self.stack[-1] if self.stack else -1)
        self.stack.append(len(self.names))
        self.names.append(name)
        self.lines.append(line)
        self.offsets.append(None)
        self.channels.append(None)

    def close(self) -> None:
        """Ends the current body."""
        body = self.stack.pop()
        if self.offsets[body] is None:
            self.fail(f"'{self.names[body]}' has no OFFSET", "}")
        if self.channels[body] is None and body not in self.ends:
            self.fail(f"'{self.names[body]}' has no CHANNELS", "}")

    def channel_list(self) -> tuple[str, ...]:
        """The channels of a joint, shortened."""
        text = self.take()[0]
        if not (text.isascii() and text.isdigit() and len(text) < 4 and int(text) <= _MAX_CHANNELS):
            self.fail(f"CHANNELS needs their number, 0 to {_MAX_CHANNELS}", text)
        own = []
        for _ in range(int(text)):
            name = self.take()[0]
            if not _CHANNEL.fullmatch(name):
                self.fail(f"expected {text} channels such as Xposition or Zrotation", name)
            own.append(name[0].lower() + name[1].lower())
        places = [channel for channel in own if channel[1] == "p"]
        if len(set(places)) < len(places):
            self.fail("a position channel is repeated", " ".join(places))
        return tuple(own)

    def rest_of_line(self, line: int) -> str:
        """Words up to the brace or the end of the line; the next word where there is none."""
        words: list[str] = []
        while self.at < len(self.tokens):
            token, number = self.tokens[self.at]
            if token in ("{", "}") or (number != line and words):
                break
            words.append(token)
            line = number
            self.at += 1
        return " ".join(words)

    def free_name(self, name: str) -> str:
        """The name, with a number where it is taken."""
        count, free = 1, name
        while free in self.names:
            count += 1
            free = f"{name}{count}"
        return free

    def number(self, field: str) -> float:
        """The next token as a number."""
        token = self.take()[0]
        try:
            value = float(token)
        except ValueError:
            self.fail(f"{field} needs three numbers", token)
        if not abs(value) <= LARGEST or "_" in token:
            self.fail(f"{field} needs finite numbers up to {LARGEST:g}", token)
        return value

    def take(self) -> tuple[str, int]:
        """The next token and its line."""
        if self.at >= len(self.tokens):
            raise DataError(f"{self.where}: the hierarchy ends too early. Is the file truncated?")
        self.at += 1
        return self.tokens[self.at - 1]

    def fail(self, what: str, token: str) -> NoReturn:
        """Raises an error that names the line of the last token."""
        line = self.tokens[max(self.at - 1, 0)][1] if self.tokens else 1
        shown = token if len(token) <= 60 else token[:57] + "..."
        raise DataError(f"{self.where}: line {line}: '{shown}': {what}.")
