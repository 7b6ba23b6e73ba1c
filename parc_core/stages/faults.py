"""Whose code raised: a provider may raise anything, also what is not an `Exception`, and call `sys.exit`."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import attrs

from parc_core.config import Use
from parc_core.errors import RAISED_IN, BrokenPlugin, describe_error, is_interrupt, raiser
from parc_core.interfaces import Stopped
from parc_core.plugins import Target
from parc_motion.errors import ParcError

__all__ = ["guarded"]

T = TypeVar("T")


def guarded(config: Any, work: Callable[[], T]) -> T:
    """What `work` returns; where a provider ends it as if it were the program, that becomes an error.

    Other exceptions than those of PARC get a note whose provider raised them, which `describe_error` shows.

    Args:
        config: settings that hold the providers.

    Raises:
        BrokenPlugin: it raised something besides an `Exception`: `SystemExit`, say; the text names the provider.
    """
    try:
        return work()
    except (ParcError, Stopped):
        raise
    except Exception as err:
        whose = raised_in(err, config)
        if whose and not raiser(err):
            err.add_note(f"{RAISED_IN}{whose}")
        raise
    except BaseException as err:
        if is_interrupt(err):
            raise
        whose = raised_in(err, config) or _place(err)
        raise BrokenPlugin(
            f"{whose} raised {describe_error(err)}\n"
            "  to do       correct its code, or report it to its authors; `parc --debug ...` shows where it happened"
        ) from err


def raised_in(err: BaseException, config: Any) -> str:
    """Kind, name and distribution of the provider whose code was innermost when `err` was raised; "" if none was."""
    targets = list(_targets(config))
    modules = [frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(err.__traceback__)]
    files = [frame.f_code.co_filename for frame, _ in traceback.walk_tb(err.__traceback__)]
    for module, file in zip(reversed(modules), reversed(files)):
        for target in targets:
            if file == str(target.file) or (target.file is None and module == _module(target)):
                return target.title
    for module in reversed(modules):
        package = module.partition(".")[0]
        for target in targets:
            if (
                package != "parc_core"
                and target.file is None
                and package == _module(target).partition(".")[0]
            ):
                return target.title
    return ""


def _place(err: BaseException) -> str:
    frames = traceback.extract_tb(err.__traceback__)
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "code of a plugin"


def _module(target: Target) -> str:
    return target.spec.rpartition(":")[0]


def _targets(value: Any) -> Iterator[Target]:
    """The implementations that are chosen anywhere inside settings."""
    if isinstance(value, Use):
        if value.target is not None:
            yield value.target
        yield from _targets(value.config)
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _targets(one)
    elif isinstance(value, (tuple, list)):
        for one in value:
            yield from _targets(one)
    elif attrs.has(type(value)):
        for field in attrs.fields(type(value)):
            yield from _targets(getattr(value, field.name))
