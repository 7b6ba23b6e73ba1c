"""How a provider declares its settings."""

from __future__ import annotations

from typing import Any

import attrs

__all__ = ["Use", "setting"]


def setting(
    default: Any = attrs.NOTHING,
    *,
    help: str,  # noqa: A002 - the field's own word for it
    unit: str = "",
    factory: Any = None,
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    lt: float | None = None,
    choices: tuple[Any, ...] | None = None,
    kind: str | None = None,
) -> Any:
    """A field of a configuration class, with its help text, unit and range.

    >>> @attrs.frozen(kw_only=True)
    ... class BoxConfig:
    ...     num_boxes: int = setting(10, ge=0, help="boxes per terrain")

    Args:
        kind: for fields of type `Use`: the kind of provider that may be named.
    """
    validators: list[Any] = []
    for bound, make in ((ge, attrs.validators.ge), (gt, attrs.validators.gt), (le, attrs.validators.le), (lt, attrs.validators.lt)):
        if bound is not None:
            validators.append(attrs.validators.optional(make(bound)))
    if choices is not None:
        validators.append(attrs.validators.in_(choices))
    metadata = {"help": help, "unit": unit, "ge": ge, "gt": gt, "le": le, "lt": lt, "choices": choices, "kind": kind}
    if factory is not None:
        return attrs.field(factory=factory, validator=validators, metadata=metadata)
    return attrs.field(default=default, validator=validators, metadata=metadata)


@attrs.frozen
class Use:
    """A provider chosen by name, with its settings: ``{use: boxes, num_boxes: 5}`` in a file.

    The loader resolves the name and structures the settings into the provider's configuration class.
    """

    name: str
    config: Any = None  # instance of the provider's configuration class
    weight: float = 1.0  # where several may stand in a list: the share of this one
