"""The YAML reader: safe with untrusted files, strict, and every value keeps its line and column.

Scalars follow the rules of `parc_core.config.yaml_scalars`. Refused, with the place: duplicate keys, merge keys, tags,
a second document, nesting deeper than 64, files above 1 MiB, anchors that multiply into more than 20,000 values.
"""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import attrs
import yaml

from parc_core.config.nodes import (
    INVALID,
    InvalidConfig,
    Key,
    MappingNode,
    Node,
    Position,
    Problem,
    ScalarNode,
    SequenceNode,
    to_plain,
)
from parc_core.config.yaml_scalars import expand_variables, resolve_scalar
from parc_core.errors import ConfigError

__all__ = ["MAX_BYTES", "load_plain", "parse_text", "read_text"]

MAX_BYTES = 1 << 20
MAX_DEPTH = 64
MAX_NODES = 20_000
MAX_SCALAR = 65_536  # characters


def read_text(path: pathlib.Path) -> str:
    """The text of a YAML file.

    Raises:
        ConfigError: it cannot be read, is too large, or is not UTF-8.
    """
    try:
        if path.exists() and not path.is_file():  # opening a pipe would wait for its writer
            raise ConfigError(f"{path}: is not a regular file. Give a file.")
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as err:
        raise ConfigError(
            f"{path}: cannot read: {getattr(err, 'strerror', None) or err}. Is the name right?"
        ) from err
    if len(data) > MAX_BYTES:
        raise ConfigError(
            f"{path}: larger than {MAX_BYTES >> 20} MiB, too large for a configuration. Is it the right file?"
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as err:
        line = data.count(b"\n", 0, err.start) + 1
        column = err.start - (data.rfind(b"\n", 0, err.start) + 1) + 1
        raise ConfigError(
            f"{path}:{line}:{column}: byte 0x{data[err.start]:02x} is not UTF-8. Save the file as UTF-8."
        ) from err


def load_plain(path: pathlib.Path) -> Any:
    """The value in a YAML file as dicts, lists and scalars, for files that PARC wrote itself.

    Raises:
        InvalidConfig: it is not YAML, or a value in it is refused.
        ConfigError: it cannot be read.
    """
    node, problems = parse_text(read_text(path), str(path))
    if problems:
        raise InvalidConfig(problems)
    return to_plain(node)


def parse_text(
    text: str, source: str, *, positions: bool = True, environ: Mapping[str, str] | None = None
) -> tuple[Node, list[Problem]]:
    """The value in a text, and the problems of single scalars and keys in it, which become `INVALID`.

    The caller adds its own problems and raises `InvalidConfig` with all of them.

    Args:
        source: file name for positions.
        positions: False where the source is one option of the command line, without lines and columns.
        environ: for ``${NAME}``; the process environment when None.

    Raises:
        InvalidConfig: the text is not YAML, or exceeds a limit of this module.
    """
    if len(text) > MAX_BYTES:
        raise InvalidConfig(
            [
                Problem(
                    Position(source), "", f"larger than {MAX_BYTES >> 20} MiB, too large for a configuration."
                )
            ]
        )
    if not _is_unicode(text):
        raise InvalidConfig(
            [Problem(Position(source), "", "holds bytes that are not UTF-8. Write it in UTF-8.")]
        )
    return _Composer(source, positions, os.environ if environ is None else environ).compose(text)


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """PyYAML's scanner and parser; nothing is constructed by it."""


@attrs.define
class _Composer:
    """Builds nodes from parser events, so that depth and size are known before anything is built."""

    source: str
    positions: bool
    environ: Mapping[str, str]
    problems: list[Problem] = attrs.field(factory=list)
    anchors: dict[str, tuple[Node | None, int, int]] = attrs.field(
        factory=dict
    )  # node (None while it is built), values, levels
    nodes: int = 0

    def compose(self, text: str) -> tuple[Node, list[Problem]]:
        """The one document of the text."""
        loader = None
        try:
            loader = _Loader(text)
            events = self._events(loader)
            node = self._document(events)
        except yaml.MarkedYAMLError as err:
            raise InvalidConfig([self._syntax_problem(err, text)]) from err
        except yaml.YAMLError as err:  # a character that YAML does not allow
            raise InvalidConfig([self._reader_problem(err, text)]) from err
        finally:
            if loader is not None:
                loader.dispose()
        return node, self.problems

    def _events(self, loader: Any) -> Iterator[Any]:
        while loader.check_event():
            yield loader.get_event()

    def _document(self, events: Iterator[Any]) -> Node:
        node: Node | None = None
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                if node is not None:
                    raise self._refuse(
                        event, "a second document starts here, expected one. Remove the line `---`."
                    )
                if event.explicit and event.tags:
                    raise self._refuse(event, "%TAG lines are not supported. Remove it.")
                node = self._node(next(events), events, "", 0)
        return node if node is not None else ScalarNode(at=self._at(None), value=None)

    def _node(self, event: Any, events: Iterator[Any], path: str, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise self._refuse(event, f"nested more than {MAX_DEPTH} deep, too deep for a configuration.")
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, depth)
        before = self.nodes
        self._count(event, 1)
        if event.anchor is not None:
            self.anchors[event.anchor] = (None, 0, 0)
        if event.tag is not None:
            raise self._refuse(
                event, f"the tag {event.tag!r:.60} is not supported. Remove it; quotes make a string."
            )
        if isinstance(event, yaml.ScalarEvent):
            node: Node = self._scalar(event, path)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self._sequence(event, events, path, depth)
        else:
            node = self._mapping(event, events, path, depth)
        if event.anchor is not None:
            self.anchors[event.anchor] = (node, self.nodes - before, _levels(node))
        return node

    def _alias(self, event: Any, depth: int) -> Node:
        node, size, levels = self.anchors.get(event.anchor, (None, -1, 0))
        if size == -1:
            raise self._refuse(
                event,
                f"no anchor is called '{event.anchor}'. Write &{event.anchor} before the value that it stands for.",
            )
        if node is None:
            raise self._refuse(event, f"'*{event.anchor}' contains itself. Write the value out.")
        self._count(event, size)
        if depth + levels > MAX_DEPTH:
            raise self._refuse(
                event, f"'*{event.anchor}' nests more than {MAX_DEPTH} deep, too deep for a configuration."
            )
        return node

    def _count(self, event: Any, size: int) -> None:
        self.nodes += size
        if self.nodes > MAX_NODES:
            raise self._refuse(event, f"more than {MAX_NODES:,} values, too many for a configuration.")

    def _sequence(self, start: Any, events: Iterator[Any], path: str, depth: int) -> SequenceNode:
        items: list[Node] = []
        for event in events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            items.append(self._node(event, events, _join(path, str(len(items))), depth + 1))
        return SequenceNode(at=self._at(start.start_mark), items=tuple(items))

    def _mapping(self, start: Any, events: Iterator[Any], path: str, depth: int) -> MappingNode:
        keys: dict[str, Key] = {}
        for event in events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            if not isinstance(event, yaml.ScalarEvent) or event.tag is not None:
                raise self._refuse(event, "a key has to be plain text. Is a quote or a comma missing?")
            name, at = event.value, self._at(event.start_mark)
            node = self._node(next(events), events, _join(path, name), depth + 1)
            if name == "<<" and not event.style:
                self.problems.append(
                    Problem(at, path, "merge keys (<<) are not supported. Write the keys out.")
                )
            elif name in keys:
                first = keys[name].at
                self.problems.append(
                    Problem(
                        at,
                        _join(path, name),
                        f"the key is given twice, first in line {first.line}. Remove one.",
                    )
                )
            else:
                keys[name] = Key(at=at, node=node)
        return MappingNode(at=self._at(start.start_mark), keys=keys)

    def _scalar(self, event: Any, path: str) -> ScalarNode:
        at, text, plain = self._at(event.start_mark), event.value, not event.style
        if len(text) > MAX_SCALAR:
            raise self._refuse(
                event, f"a value of {len(text):,} characters; at most {MAX_SCALAR:,} are read."
            )
        expanded, problem = expand_variables(text, self.environ)
        if problem is None and plain:
            value, problem = resolve_scalar(expanded)
        else:
            value = expanded
        if problem is not None:
            self.problems.append(Problem(at, path, problem))
            value = INVALID
        return ScalarNode(at=at, value=value)

    def _at(self, mark: Any) -> Position:
        if not self.positions:
            return Position(self.source)
        return Position(self.source, mark.line + 1, mark.column + 1) if mark else Position(self.source, 1, 1)

    def _refuse(self, event: Any, message: str) -> InvalidConfig:
        return InvalidConfig([*self.problems, Problem(self._at(event.start_mark), "", message)])

    def _syntax_problem(self, err: yaml.MarkedYAMLError, text: str) -> Problem:
        mark = err.problem_mark or err.context_mark
        context = f" ({err.context})" if err.context else ""
        lines = text.splitlines()
        line = lines[mark.line] if mark is not None and mark.line < len(lines) else ""
        advice = " Between brackets, put quotes around a value with ${...}." if "${" in line else ""
        return Problem(self._at(mark), "", f"not YAML: {err.problem}{context}.{advice}")

    def _reader_problem(self, err: yaml.YAMLError, text: str) -> Problem:
        position = getattr(err, "position", None)
        reason = getattr(err, "reason", None) or str(err)
        if not isinstance(position, int) or not self.positions:
            return Problem(Position(self.source), "", f"not YAML: {reason}.")
        if getattr(err, "encoding", "") in ("?", "utf-8"):  # libyaml counts bytes
            position = len(text.encode()[:position].decode(errors="ignore"))
        start = text.rfind("\n", 0, position) + 1
        at = Position(self.source, text.count("\n", 0, position) + 1, position - start + 1)
        return Problem(at, "", f"not YAML: {reason}.")


def _levels(node: Node) -> int:
    below: list[Node] = []
    if isinstance(node, SequenceNode):
        below = list(node.items)
    elif isinstance(node, MappingNode):
        below = [key.node for key in node.keys.values()]
    return 1 + max(map(_levels, below)) if below else 0


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # half characters: bytes of the command line that could not be decoded
        return False
    return True


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key
