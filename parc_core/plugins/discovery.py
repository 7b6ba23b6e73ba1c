"""Finds installed plugins; one that fails does not stop the others, and nothing is raised.

A plugin is a module named by an entry point of the group `parc.plugins`. It is imported here, so it
must import nothing heavy: the providers that it names are imported when they are chosen, by `import_object`.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import attrs
import pluggy

import parc_core
from parc_core.errors import BrokenPlugin, IncompatiblePlugin, PluginError, describe_error, is_interrupt
from parc_core.plugins import hookspecs
from parc_core.plugins.provider import Command, Provider

__all__ = ["LoadedPlugin", "PluginProblem", "discover", "import_module", "import_object"]


@attrs.frozen(kw_only=True)
class PluginProblem:
    """A plugin that could not be used, and why: a row of `parc plugins --problems`."""

    dist: str
    version: str
    entry_point: str  # "name = module"
    error: PluginError  # `IncompatiblePlugin` or `BrokenPlugin`
    summary: str  # one line


@attrs.frozen(kw_only=True, eq=False)
class LoadedPlugin:
    """A plugin module that was imported and accepted."""

    dist: str
    version: str
    manager: pluggy.PluginManager  # of this plugin alone, so that its hooks are called separately
    providers: tuple[Provider, ...]
    commands: tuple[Command, ...]


def discover() -> tuple[list[LoadedPlugin], list[PluginProblem]]:
    """Every installed plugin, in the order of distribution and entry-point names, and those that failed.

    Never raises, except when the user interrupts: an exception or `sys.exit` in a plugin becomes a `PluginProblem`.
    """
    plugins: list[LoadedPlugin] = []
    problems: list[PluginProblem] = []
    found = importlib.metadata.entry_points(group=hookspecs.GROUP)
    for entry in sorted(found, key=lambda entry: (_owner(entry)[0].lower(), entry.name)):
        dist, version = _owner(entry)
        try:
            plugins.append(_load(entry, dist, version))
        except BaseException as err:  # a plugin may raise anything or call sys.exit: it becomes a row
            if is_interrupt(err):
                raise
            problems.append(_problem(entry, err))
    return plugins, problems


def import_object(spec: str) -> Any:
    """The object that ``"module:attribute"`` names.

    Raises:
        ImportError: the module, or something that it imports, is missing; or it has no such attribute.
        BrokenPlugin: importing it raised anything else.
    """
    module_name, _, attribute = spec.partition(":")
    module = import_module(module_name)
    try:
        return getattr(module, attribute)
    except AttributeError as err:
        raise ImportError(f"module '{module_name}' has no '{attribute}'") from err


def import_module(name: str) -> ModuleType:
    """The module of that name.

    Raises:
        ImportError: it, or something that it imports, is missing.
        BrokenPlugin: importing it raised anything else.
    """
    try:
        return importlib.import_module(name)
    except ImportError:
        raise
    except BaseException as err:  # as in discovery: a plugin may raise anything, SystemExit included
        if is_interrupt(err):
            raise
        raise BrokenPlugin(f"importing {name} raised {describe_error(err)}") from err


def _load(entry: importlib.metadata.EntryPoint, dist: str, version: str) -> LoadedPlugin:
    module = entry.load()
    _check_api(module, dist)
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(module, name=entry.value)
    manager.check_pending()
    providers = _collect(manager.hook.parc_providers(), Provider, "parc_providers")
    commands = _collect(manager.hook.parc_commands(), Command, "parc_commands")
    _check_unique([(provider.kind, provider.name) for provider in providers])
    _check_unique([("command", command.name) for command in commands])
    return LoadedPlugin(dist=dist, version=version, manager=manager, providers=providers, commands=commands)


def _check_api(module: ModuleType, dist: str) -> None:
    mine = parc_core.PARC_API
    have = f"parc-core {parc_core.__version__} has PARC_API {mine[0]}.{mine[1]}"
    theirs = getattr(module, "PARC_API", None)
    if theirs is None:
        raise IncompatiblePlugin(
            f"does not say for which PARC_API it was written; {have}. Add PARC_API = {mine} to its module."
        )
    if not (isinstance(theirs, tuple) and len(theirs) == 2 and all(type(part) is int for part in theirs)):
        raise IncompatiblePlugin(
            f"PARC_API is {theirs!r}, expected two integers; {have}. Write PARC_API = {mine} in its module."
        )
    need = f"was written for PARC_API {theirs[0]}.{theirs[1]}; {have}"
    if theirs[0] > mine[0]:
        raise IncompatiblePlugin(
            f"{need}. Upgrade parc-core (pip install --upgrade parc-core), or install an older {dist}."
        )
    if theirs[0] < mine[0]:
        raise IncompatiblePlugin(f"{need}. Upgrade the plugin: pip install --upgrade {dist}.")
    if theirs[1] > mine[1]:
        raise IncompatiblePlugin(f"{need}. Upgrade parc-core: pip install --upgrade parc-core.")


def _collect(results: Sequence[Any], kind: type, hook: str) -> tuple[Any, ...]:
    items: list[Any] = []
    for result in results:
        if not isinstance(result, (list, tuple)) or not all(isinstance(item, kind) for item in result):
            raise BrokenPlugin(
                f"{hook} returned {type(result).__name__} {result!r:.80}, expected a list of {kind.__name__}."
            )
        items += result
    return tuple(items)


def _check_unique(names: list[tuple[str, str]]) -> None:
    for kind, name in names:
        if names.count((kind, name)) > 1:
            raise BrokenPlugin(f"offers the {kind} '{name}' twice; every name may occur once in a plugin.")


def _owner(entry: importlib.metadata.EntryPoint) -> tuple[str, str]:
    if entry.dist is None:
        return "(unknown)", "?"
    return entry.dist.name or "(unnamed)", entry.dist.version or "?"


def _problem(entry: importlib.metadata.EntryPoint, err: BaseException) -> PluginProblem:
    dist, version = _owner(entry)
    if isinstance(err, PluginError):
        summary, kind = str(err), type(err)
    else:
        summary, kind = describe_error(err), BrokenPlugin
    error = kind(f"plugin {dist} {version} ({entry.name} = {entry.value}): {summary}")
    error.__cause__ = err
    return PluginProblem(
        dist=dist, version=version, entry_point=f"{entry.name} = {entry.value}", error=error, summary=summary
    )
