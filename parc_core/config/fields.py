"""How a provider declares its settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import attrs

__all__ = ["Use", "describe_range", "range_problem", "setting"]


def setting(
    default: Any = attrs.NOTHING,
    *,
    help: str,
    unit: str = "",
    factory: Any = None,
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    lt: float | None = None,
    choices: tuple[Any, ...] | None = None,
    kind: str | None = None,
    path: bool = False,
) -> Any:
    """A field of a configuration class, with its help text, unit and range.

    >>> @attrs.frozen(kw_only=True)
    ... class BoxConfig:
    ...     num_boxes: int = setting(10, ge=0, help="boxes per terrain")

    Args:
        ge, gt, le, lt: the range; it holds for every number inside a tuple, list or dict.
        choices: the allowed values.
        kind: for fields of type `Use`: the kind of provider that may be named.
        path: the strings of this field are files or folders: the loader looks for relative ones beside the file that
            names them, then in the current directory, and expands ``~``.
    """
    metadata = {
        "help": help, "unit": unit, "ge": ge, "gt": gt, "le": le, "lt": lt,
        "choices": choices, "kind": kind, "path": path,
    }  # fmt: skip
    if factory is not None:
        return attrs.field(factory=factory, validator=_validate, metadata=metadata)
    return attrs.field(default=default, validator=_validate, metadata=metadata)


@attrs.frozen
class Use:
    """A provider chosen by name, with its settings: ``{use: boxes, num_boxes: 5}`` in a file.

    The loader resolves the name and structures the settings into the provider's configuration class.
    """

    name: str
    config: Any = None  # instance of the provider's configuration class
    weight: float = 1.0  # where several may stand in a list: the share of this one


def range_problem(metadata: Mapping[str, Any], value: Any) -> str | None:
    """What is wrong with a value against the range of its `setting`, e.g. ``-1 is out of range, expected >= 0 m``.

    None stands for "not given" and is in every range; numbers inside tuples, lists and dicts are looked at one by one.
    """
    choices = metadata.get("choices")
    if choices is not None and value is not None:
        if value in choices:
            return None
        return (
            f"{_show(value)} is not allowed, expected one of {', '.join(_show(choice) for choice in choices)}"
        )
    for number in _numbers(value):
        if not _inside(metadata, number):
            return f"{_show(number)} is out of range, expected {describe_range(metadata)}"
    return None


def describe_range(metadata: Mapping[str, Any]) -> str:
    """The range of a setting with its unit, e.g. ``>= 0 and < 1 m``; empty when every number is allowed."""
    signs = (("ge", ">="), ("gt", ">"), ("le", "<="), ("lt", "<"))
    bounds = [f"{sign} {metadata[key]:g}" for key, sign in signs if metadata.get(key) is not None]
    return f"{' and '.join(bounds)} {metadata.get('unit', '')}".strip() if bounds else ""


def _validate(_instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    problem = range_problem(attribute.metadata, value)
    if problem:
        raise ValueError(f"{attribute.name}: {problem}")


def _inside(metadata: Mapping[str, Any], number: float) -> bool:
    ge, gt, le, lt = (metadata.get(key) for key in ("ge", "gt", "le", "lt"))
    return (
        (ge is None or number >= ge)
        and (gt is None or number > gt)
        and (le is None or number <= le)
        and (lt is None or number < lt)
    )


def _numbers(value: Any) -> Iterable[float]:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        yield value
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from _numbers(item)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _numbers(item)


def _show(value: Any) -> str:
    return f"'{value}'" if isinstance(value, str) else f"{value!r}"
