"""The settings of a class or function that is chosen without a settings class.

A class takes its settings as the parameter `config`, whose annotation is the settings class::

    class FeetApart:
        def __init__(self, config: FeetApartConfig, *, skeleton: Skeleton, device: str) -> None: ...
        def __call__(self, frame: TrackingFrame) -> Tensor: ...

The settings of a plain function are its keyword-only parameters; the ones before the ``*`` are passed at every call::

    def feet_apart(frame: TrackingFrame, *, k: float = 3.0) -> Tensor: ...
"""

from __future__ import annotations

import copy
import functools
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from parc_core.errors import BrokenPlugin
from parc_core.plugins.provider import WEIGHTED_KINDS

__all__ = ["accepted", "bind", "settings_class"]

_WEIGHT_HELP = "Weight of this term in the sum."


def settings_class(target: Any, kind: str) -> type:
    """The attrs class of the settings that a target takes; the same class at every call.

    Raises:
        BrokenPlugin: the target is not a class or function, or its signature does not say what its settings are.
    """
    if not callable(target):
        raise BrokenPlugin(f"is {target!r:.60}, expected a class or a function")
    if _takes_config(target):
        return _annotated_class(target)
    if isinstance(target, type):
        raise BrokenPlugin(
            f"class {target.__name__}: __init__ has no parameter 'config'\n"
            f"  to do       write def __init__(self, config: {target.__name__}Config, ...) with an attrs class"
        )
    return _class_of_keywords(target, kind in WEIGHTED_KINDS)


def bind(target: Callable[..., Any], config: Any, collaborators: Mapping[str, Any]) -> Any:
    """The target called with its settings and collaborators, or a plain function with its settings bound."""
    if _takes_config(target):
        return target(config, **collaborators)
    wanted = _keywords(target)
    settings = {field.name: getattr(config, field.name) for field in attrs.fields(type(config))}
    return functools.partial(target, **{name: value for name, value in settings.items() if name in wanted})


def accepted(target: Callable[..., Any], offered: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the offered keyword arguments that the target has parameters for."""
    parameters = _signature(target).parameters.values() if offered else ()
    if any(one.kind is one.VAR_KEYWORD for one in parameters):
        return dict(offered)
    names = {one.name for one in parameters if one.kind in (one.KEYWORD_ONLY, one.POSITIONAL_OR_KEYWORD)}
    return {name: value for name, value in offered.items() if name in names}


def _takes_config(target: Callable[..., Any]) -> bool:
    parameters = list(_signature(target).parameters.values())
    return bool(parameters) and parameters[0].name == "config"


def _signature(target: Callable[..., Any]) -> inspect.Signature:
    try:
        return inspect.signature(target)
    except (ValueError, TypeError) as err:
        raise BrokenPlugin(f"is {target!r:.60}, which has no signature. Wrap it in a function") from err


def _keywords(target: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    parameters = _signature(target).parameters
    return {name: value for name, value in parameters.items() if value.kind is value.KEYWORD_ONLY}


def _annotated_class(target: Any) -> type:
    function = getattr(target, "__init__") if isinstance(target, type) else target  # noqa: B009
    annotation = _signature(target).parameters["config"].annotation
    title = f"{target.__name__}: the parameter 'config'"
    if annotation is inspect.Parameter.empty:
        raise BrokenPlugin(
            f"{title} has no type\n  to do       annotate it with the attrs class of its settings"
        )
    cls = _resolve(function, {"config": annotation}, title)["config"]
    if not (isinstance(cls, type) and attrs.has(cls)):
        raise BrokenPlugin(f"{title} is a {_type_text(cls)}, expected an attrs class of settings")
    return cls


@functools.cache
def _class_of_keywords(function: Callable[..., Any], weighted: bool) -> type:
    name = getattr(function, "__name__", type(function).__name__)
    for parameter in _signature(function).parameters.values():
        _check_parameter(name, parameter)
    keywords = _keywords(function)
    hints = {key: value.annotation for key, value in keywords.items()}
    resolved = _resolve(function, hints, f"{name}: the type of a setting")
    helps = _helps(function)
    fields: dict[str, Any] = {}
    if weighted and "weight" not in keywords:
        fields["weight"] = attrs.field(default=1.0, type=float, metadata={"help": _WEIGHT_HELP, "ge": 0})
    for key, parameter in keywords.items():
        metadata = {"help": helps.get(key, f"Parameter '{key}' of {name}.")}
        fields[key] = attrs.field(default=_default(parameter), type=resolved[key], metadata=metadata)
    cls = attrs.make_class(f"{name}_settings", fields, frozen=True, kw_only=True)
    cls.__module__ = getattr(function, "__module__", cls.__module__)
    return cls


def _check_parameter(name: str, parameter: inspect.Parameter) -> None:
    if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
        stars = "**" if parameter.kind is parameter.VAR_KEYWORD else "*"
        raise BrokenPlugin(
            f"{name} takes {stars}{parameter.name}, expected parameters with names\n"
            f"  to do       write every setting out, e.g. def {name}(frame, *, k: float = 3.0)"
        )
    if parameter.kind is parameter.KEYWORD_ONLY:
        if parameter.annotation is parameter.empty:
            raise BrokenPlugin(
                f"{name}: the setting '{parameter.name}' has no type\n"
                f"  to do       annotate it, e.g. {parameter.name}: float = 3.0"
            )
    elif parameter.default is not parameter.empty:
        raise BrokenPlugin(
            f"{name}: the parameter '{parameter.name}' has a default, but it is not keyword-only\n"
            f"  to do       put a * before the settings, e.g. def {name}(frame, *, {_written(parameter)})"
        )


def _resolve(function: Any, annotations: dict[str, Any], title: str) -> dict[str, Any]:
    """The types that annotations name; other parameters may have types that only type checkers can import."""
    holder = types.SimpleNamespace(__annotations__=annotations)
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    try:
        return typing.get_type_hints(holder, globalns=getattr(function, "__globals__", {}))
    except (NameError, TypeError, AttributeError, SyntaxError) as err:
        raise BrokenPlugin(
            f"{title} cannot be resolved: {err}\n  to do       import the name outside of `if TYPE_CHECKING:`"
        ) from err


def _default(parameter: inspect.Parameter) -> Any:
    value = parameter.default
    if value is parameter.empty:
        return attrs.NOTHING
    return attrs.Factory(lambda: copy.deepcopy(value)) if isinstance(value, (list, dict)) else value


def _helps(function: Callable[..., Any]) -> dict[str, str]:
    """Help texts from the section ``Args:`` of a Google docstring, one per parameter."""
    lines = (inspect.getdoc(function) or "").splitlines()
    helps: dict[str, str] = {}
    if "Args:" not in lines:
        return helps
    key = ""
    for line in lines[lines.index("Args:") + 1 :]:
        indent = len(line) - len(line.lstrip())
        if not line.strip() or indent == 0:
            break
        name, colon, text = line.strip().partition(": ")
        if indent == 4 and colon:
            key = name.partition(" ")[0]
            helps[key] = text
        elif key:
            helps[key] += f" {line.strip()}"
    return helps


def _written(parameter: inspect.Parameter) -> str:
    """A parameter with a default as source code has it."""
    annotation, default = parameter.annotation, f"{parameter.default!r:.40}"
    if annotation is parameter.empty:
        return f"{parameter.name}={default}"
    text = annotation if isinstance(annotation, str) else _type_text(annotation)
    return f"{parameter.name}: {text} = {default}"


def _type_text(value: Any) -> str:
    return value.__name__ if isinstance(value, type) else repr(value)
