"""How a provider declares its settings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import attrs

from parc_core.plugins import Registry, Target

__all__ = ["Use", "describe_range", "key_of", "range_problem", "setting"]


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
    key: str | None = None,
    extends: bool = False,
) -> Any:
    """A field of a configuration class, with its help text, unit and range.

    >>> @attrs.frozen(kw_only=True)
    ... class BoxConfig:
    ...     num_boxes: int = setting(10, ge=0, help="Number of boxes per terrain.")

    Args:
        ge, gt, le, lt: the range; it applies to every number inside a tuple, list or dict.
        choices: the allowed values.
        kind: for fields of type `Use`, ``tuple[Use, ...]`` and ``dict[str, Use]``: the kind of provider.
        path: the strings of this field are files or folders: the loader searches relative ones beside the file that
            names them, then in the current directory, and expands ``~``.
        extends: a larger value only makes the work longer: what was done with a smaller one is continued, e.g. the
            number of epochs.
        key: its key in files, where that is a word that Python does not allow as the name of a field.
    """
    metadata = {
        "help": help, "unit": unit, "ge": ge, "gt": gt, "le": le, "lt": lt,
        "choices": choices, "kind": kind, "path": path, "key": key,
        "extends": extends,
    }  # fmt: skip
    converter = _kind_setter(kind) if kind is not None else None
    if factory is not None:
        return attrs.field(factory=factory, converter=converter, validator=_validate, metadata=metadata)
    return attrs.field(default=default, converter=converter, validator=_validate, metadata=metadata)


def key_of(field: attrs.Attribute[Any]) -> str:
    """The key of a setting in files."""
    return str(field.metadata.get("key") or field.alias)


@attrs.frozen
class Use:
    """A provider chosen by name, with its settings: ``{use: boxes, num_boxes: 5}`` in a file.

    The loader resolves the name, structures the settings into the provider's settings class and remembers the
    implementation, so that code that has the settings can create it::

        terms = {name: use.create(skeleton=skeleton, device=device) for name, use in config.terms.items()}
    """

    name: str
    config: Any = None  # instance of the provider's settings class; None means its defaults
    weight: float = 1.0  # in a list of providers: its relative weight
    kind: str = attrs.field(
        default="", eq=False, repr=False
    )  # kind of provider, from the field that holds it
    target: Target | None = attrs.field(
        default=None, eq=False, repr=False
    )  # the implementation, once resolved

    def complete(self) -> Use:
        """The same choice with its settings and implementation, as the loader gives it.

        A `Use` that was written in Python, ``Use("pose")``, has neither before it is completed; its name is looked
        up among what is installed.

        Raises:
            PluginError: the name has no implementation, or its settings class cannot be imported.
            ValueError: it is not in a field made with ``setting(kind=...)``, so its kind is not known.
        """
        if self.target is not None and self.config is not None:
            return self
        if self.target is None and not self.kind:
            raise ValueError(f"Use('{self.name}') has no kind. Put it in a field made with setting(kind=...)")
        target = self.target if self.target is not None else Registry.discover().resolve(self.kind, self.name)
        config = self.config if self.config is not None else target.settings_class()()
        return attrs.evolve(self, name=target.name, config=config, target=target)

    def create(self, **collaborators: Any) -> Any:
        """An instance of the provider, or a plain function with its settings bound.

        Args:
            collaborators: what the interface of the kind states.

        Raises:
            PluginError: it has no implementation, or its constructor raised.
        """
        complete = self.complete()
        assert complete.target is not None
        return complete.target.create(complete.config, **collaborators)


def range_problem(metadata: Mapping[str, Any], value: Any) -> str | None:
    """Why a value is outside the range of its `setting`, e.g. ``-1 is out of range, expected >= 0 m``.

    Returns None for a valid value, which includes None. Numbers inside tuples, lists and dicts are checked one by
    one.
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


def _kind_setter(kind: str) -> Callable[[Any], Any]:
    """A converter that writes the kind into every `Use` of a field's value."""

    def convert(value: Any) -> Any:
        if isinstance(value, Use):
            return value if value.kind == kind else attrs.evolve(value, kind=kind)
        if isinstance(value, (tuple, list)):
            return type(value)(convert(item) for item in value)
        return {key: convert(item) for key, item in value.items()} if isinstance(value, dict) else value

    return convert


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
