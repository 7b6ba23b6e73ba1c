"""YAML of lists and mappings of plain values, built from the parser's events: no recursion, no aliases, no tags."""

from __future__ import annotations

import pathlib
from typing import Any

from parc_motion.errors import CorruptArtifact

__all__ = ["parse_yaml"]

_MAX_DEPTH = 8
_MAX_VALUES = 200_000
_MAX_SCALAR_CHARS = 10_000
_MAX_INT_BITS = 64
_PLAIN = {f"tag:yaml.org,2002:{kind}" for kind in ("null", "bool", "int", "float", "str")}
_TEXT = "tag:yaml.org,2002:str"


def parse_yaml(data: bytes, where: str | pathlib.Path) -> Any:
    """The value in YAML text; dates and other types that YAML knows stay text.

    Raises:
        CorruptArtifact: it is not YAML, uses aliases or tags, repeats a key, nests deeper than 8, or holds more
            than 200,000 values, a value of more than 10,000 characters, or a number of more than 64 bits.
    """
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return _Builder().build(yaml.parse(data, loader))
    except (yaml.YAMLError, ValueError, RecursionError) as err:
        reason = " ".join(str(err).split())
        raise CorruptArtifact(f"{where}: not a YAML file: {reason:.200}.") from err


class _Builder:
    """Puts values where they belong while events come; `open` holds the containers that are not closed yet."""

    def __init__(self) -> None:
        import yaml

        self.yaml, self.loader = yaml, yaml.SafeLoader("")
        self.open: list[list[Any] | dict[Any, Any]] = []
        self.keys: list[Any] = []  # per open container the key that waits for its value
        self.count = 0
        self.root: Any = None

    def build(self, events: Any) -> Any:
        yaml, documents = self.yaml, 0
        for event in events:
            documents += isinstance(event, yaml.DocumentStartEvent)
            if documents > 1:
                raise ValueError("it holds several documents")
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                raise ValueError(f"line {event.start_mark.line + 1}: anchors and aliases are not read")
            if isinstance(event, yaml.ScalarEvent):
                self.add(self.scalar(event), event)
            elif isinstance(event, yaml.CollectionStartEvent):
                self.begin({} if isinstance(event, yaml.MappingStartEvent) else [], event)
            elif isinstance(event, yaml.CollectionEndEvent):
                self.open.pop()
                self.keys.pop()
        return self.root

    def scalar(self, event: Any) -> Any:
        where = f"line {event.start_mark.line + 1}"
        if event.tag not in (None, "!"):
            raise ValueError(f"{where}: tags ({event.tag:.40}) are not read")
        if len(event.value) > _MAX_SCALAR_CHARS:
            raise ValueError(f"{where}: a value of {len(event.value)} characters")
        tag = self.loader.resolve(self.yaml.ScalarNode, event.value, event.implicit)
        if tag == _TEXT or tag not in _PLAIN:
            return event.value
        value = self.loader.yaml_constructors[tag](self.loader, self.yaml.ScalarNode(tag, event.value))
        if isinstance(value, int) and value.bit_length() > _MAX_INT_BITS:
            raise ValueError(f"{where}: a number of {value.bit_length()} bits")
        return value

    def begin(self, container: list[Any] | dict[Any, Any], event: Any) -> None:
        if event.tag is not None:
            raise ValueError(f"line {event.start_mark.line + 1}: tags ({event.tag:.40}) are not read")
        if len(self.open) == _MAX_DEPTH:
            raise ValueError(f"line {event.start_mark.line + 1}: nested deeper than {_MAX_DEPTH}")
        self.add(container, event)
        self.open.append(container)
        self.keys.append(_NO_KEY)

    def add(self, value: Any, event: Any) -> None:
        self.count += 1
        where = f"line {event.start_mark.line + 1}"
        if self.count > _MAX_VALUES:
            raise ValueError(f"{where}: more than {_MAX_VALUES} values")
        holder = self.open[-1] if self.open else None
        if isinstance(holder, list):
            holder.append(value)
        elif isinstance(holder, dict) and self.keys[-1] is _NO_KEY:
            if not isinstance(value, str) or value in holder:
                raise ValueError(f"{where}: the key {value!r:.40} is there twice, or is not text")
            self.keys[-1] = value
        elif isinstance(holder, dict):
            holder[self.keys[-1]] = value
            self.keys[-1] = _NO_KEY
        else:
            self.root = value


_NO_KEY = object()
