"""What a scalar of a YAML file means: the core rules of YAML 1.2, and environment variables.

Unlike in PyYAML, which follows YAML 1.1, only `true` and `false` are truth values, `1e-4` is a number, and `no`,
`12:30:45` and `2026-01-02` are strings. Underscores may group digits. `.inf`, `.nan` and numbers beyond 64 bits are
refused.

``${NAME}`` in a value is replaced by the environment variable, ``${NAME:-text}`` by the text where it is unset or
empty; ``$${`` is written for the two characters themselves. ``$NAME`` is replaced, too, at the beginning of a path:
``$DATA_DIR/clips``. A value without quotes is resolved after that, so ``seed: ${SEED}`` may give a number.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

__all__ = ["expand_variables", "resolve_scalar"]

_NULL = {"", "~", "null", "Null", "NULL"}
_TRUTH = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?(0|[1-9][0-9]*(_[0-9]+)*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(_[0-9]+)*(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_VARIABLE = re.compile(r"\$\$\{|\$\{([^}]*)\}")
_AT_START = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)(?=/)")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def resolve_scalar(text: str) -> tuple[Any, str | None]:
    """The value of a scalar without quotes, and its problem or None."""
    if text in _NULL:
        return None, None
    if text in _TRUTH:
        return _TRUTH[text], None
    if _NOT_FINITE.fullmatch(text):
        return None, f"'{text}' is not a finite number. Write a number, or leave the key out."
    if len(text) <= 400 and _INT.fullmatch(text):
        number = int(text.replace("_", ""))
        if not -(1 << 63) <= number < 1 << 63:
            return None, f"{text:.40} is beyond 64 bits. Put it in quotes if it is a name."
        return number, None
    if len(text) <= 400 and _FLOAT.fullmatch(text) and not text.lstrip("+-").isdigit():
        value = float(text.replace("_", ""))
        if not math.isfinite(value):
            return None, f"{text:.40} is beyond the range of a float."
        return value, None
    return text, None


def expand_variables(text: str, environ: Mapping[str, str]) -> tuple[str, str | None]:
    """The text with ``${NAME}``, and ``$NAME`` before a first slash, replaced, and its first problem or None."""
    problems: list[str] = []
    start = _AT_START.match(text)
    if start:
        text = f"${{{start[1]}}}{text[start.end() :]}"

    def replace(match: re.Match[str]) -> str:
        name = match.group(1)
        if name is None:
            return "${"
        name, marked, default = name.partition(":-")
        if not _NAME.fullmatch(name):
            problems.append(
                f"'{match.group(0):.60}' is not a variable. Write ${{NAME}}, or $${{ for the characters themselves."
            )
            return ""
        value = environ.get(name) or (default if marked else environ.get(name))
        if value is None:
            problems.append(f"the environment variable {name} is not set. Set it: export {name}=...")
            return ""
        if not value.isprintable():
            problems.append(
                f"the environment variable {name} holds characters that cannot be printed. Set it to plain text."
            )
            return ""
        return value

    expanded = _VARIABLE.sub(replace, text) if "${" in text else text
    return expanded, problems[0] if problems else None
