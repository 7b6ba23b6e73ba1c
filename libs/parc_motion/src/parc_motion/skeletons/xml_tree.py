"""XML of unknown origin as a tree, bounded while it is parsed, without document types and without other files."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

from parc_motion.errors import DataError

__all__ = ["parse_xml"]

_MAX_ELEMENTS = 50_000
_MAX_DEPTH = 100
_MAX_ATTRIBUTE_CHARS = 100_000  # of one element


def parse_xml(text: str, source: str) -> ElementTree.Element:
    """The root element of an XML text; `source` is what errors name.

    Raises:
        DataError: it is not well-formed, declares a document type or entities, nests deeper than 100, or holds more
            than 50,000 elements or an element with more than 100,000 characters of attributes.
    """
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise DataError(f"{source}: document type declarations are not read (they can expand without bound).")
    parser = ElementTree.XMLParser(target=_BoundedBuilder(source))
    try:
        parser.feed(text)
        return parser.close()
    except (ElementTree.ParseError, ValueError, LookupError) as err:
        raise DataError(f"{source}: not well-formed XML: {err!s:.200}.") from err


class _BoundedBuilder:
    """Builds the tree; text between the tags is dropped."""

    def __init__(self, source: str) -> None:
        self.source, self.count, self.depth = source, 0, 0
        self.builder = ElementTree.TreeBuilder()

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self.count, self.depth = self.count + 1, self.depth + 1
        if self.count > _MAX_ELEMENTS or self.depth > _MAX_DEPTH:
            raise DataError(
                f"{self.source}: more than {_MAX_ELEMENTS} elements, or nested deeper than {_MAX_DEPTH}. "
                "Is it a character?"
            )
        if sum(map(len, attributes.values())) > _MAX_ATTRIBUTE_CHARS:
            raise DataError(
                f"{self.source}: <{tag:.40}> has attributes of more than {_MAX_ATTRIBUTE_CHARS} characters."
            )
        self.builder.start(tag, attributes)

    def end(self, tag: str) -> None:
        self.depth -= 1
        self.builder.end(tag)

    def close(self) -> ElementTree.Element:
        return self.builder.close()
