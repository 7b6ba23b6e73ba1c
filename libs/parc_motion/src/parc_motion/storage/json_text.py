"""JSON that others made: finite numbers, a bounded depth, and one kind of error."""

from __future__ import annotations

import json
import math
import pathlib
import re
from typing import Any, NoReturn

from parc_motion.errors import CorruptArtifact

__all__ = ["parse_json"]

_CONTAINERS = (dict, list)
_MAX_DEPTH = (
    64  # containers within containers; what follows such a value recursively stays within Python's limit
)
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def parse_json(data: bytes, where: str | pathlib.Path) -> Any:
    """The value in JSON text.

    Raises:
        CorruptArtifact: it is not JSON, holds NaN, infinity, a number of more than 4300 digits or half a character,
            or nests too deep.
    """
    try:
        value = json.loads(data, parse_constant=_refuse, parse_float=_finite)
        if _SURROGATE.search(data):
            json.dumps(value, ensure_ascii=False).encode()  # halves of characters cannot be written again
    except (ValueError, RecursionError) as err:
        raise CorruptArtifact(f"{where}: not a JSON file: {err!s:.200}.") from err
    if _nests_deeper(value, _MAX_DEPTH):
        raise CorruptArtifact(f"{where}: not a JSON file of PARC: it nests more than {_MAX_DEPTH} deep.")
    return value


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"it holds {name}")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"it holds the number {text:.40}")
    return value


def _nests_deeper(value: Any, depth: int) -> bool:
    containers = [value]
    for _ in range(depth):
        containers = [
            child
            for one in containers
            for child in (one.values() if type(one) is dict else one if type(one) is list else ())
            if type(child) in _CONTAINERS
        ]
        if not containers:
            return False
    return True
