"""The providers and commands of all installed plugins, by kind and name; a provider is imported when it is chosen."""

from __future__ import annotations

import difflib
import functools
import importlib.metadata
import logging
import pathlib
import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Protocol

import attrs

from parc_core.errors import (
    AmbiguousProvider,
    BrokenPlugin,
    UnknownProvider,
    describe_error,
    is_interrupt,
)
from parc_core.plugins.discovery import LoadedPlugin, PluginProblem, discover
from parc_core.plugins.files import is_file_name, locate
from parc_core.plugins.provider import KINDS, Command, Provider
from parc_core.plugins.target import Target

__all__ = ["Choice", "Registered", "RegisteredCommand", "Registry"]

log = logging.getLogger(__name__)

_MODULE = re.compile(r"[A-Za-z_]\w*(\.\w+)*:[A-Za-z_]\w*")


class Choice(Protocol):
    """A provider chosen by name, with its settings; `parc_core.config.Use` is one."""

    @property
    def name(self) -> str:
        """The provider's name."""

    @property
    def config(self) -> Any:
        """Its settings; None for the defaults."""


@attrs.frozen
class Registered:
    """A provider and the distribution that it came with."""

    provider: Provider
    dist: str
    version: str

    @property
    def qualified(self) -> str:
        """``dist:name``, which is unique even if two distributions offer the name."""
        return f"{self.dist}:{self.provider.name}"

    def target(self, name: str) -> Target:
        """The implementation, under the name by which it was chosen."""
        provider = self.provider
        return Target(
            kind=provider.kind,
            name=name,
            spec=provider.target,
            config=provider.config,
            dist=self.dist,
            version=self.version,
            results_version=provider.results_version,
        )


@attrs.frozen
class RegisteredCommand:
    """A verb and the distribution that it came with."""

    command: Command
    dist: str
    version: str

    def load(self) -> Any:
        """The click command.

        Raises:
            ProviderUnavailable, BrokenPlugin: it cannot be imported.
        """
        command = self.command
        return Target(
            kind="command", name=command.name, spec=command.target, dist=self.dist, version=self.version
        ).load()


class Registry:
    """What is installed.

    >>> registry = Registry.discover()
    >>> selector = registry.create("selector", Use("first"), skeleton=skeleton, device="cpu")
    """

    def __init__(self, plugins: Iterable[LoadedPlugin] = (), problems: Iterable[PluginProblem] = ()) -> None:
        self._plugins = tuple(plugins)
        self._problems = list(problems)
        self._providers: list[Registered] = []
        self._commands: list[RegisteredCommand] = []
        for plugin in self._plugins:
            self._add(plugin)

    @staticmethod
    def discover() -> Registry:
        """The registry of everything installed; never raises, see `problems`."""
        return Registry(*discover())

    @property
    def problems(self) -> tuple[PluginProblem, ...]:
        """Plugins that did not load, and why."""
        return tuple(self._problems)

    @property
    def commands(self) -> dict[str, RegisteredCommand]:
        """Verbs by name, ``verb`` or ``group verb``.

        A name that two distributions offer appears only as ``dist:verb`` and ``group dist:verb``; so does a verb that
        has the name of a group.
        """
        names = [registered.command.name for registered in self._commands]
        names += {registered.command.group for registered in self._commands}
        found = {}
        for registered in self._commands:
            command = registered.command
            verb = command.verb if names.count(command.name) == 1 else f"{registered.dist}:{command.verb}"
            found[f"{command.group} {verb}".lstrip()] = registered
        return found

    def plugins(self) -> tuple[tuple[str, str], ...]:
        """(distribution, version) of every plugin that loaded, for manifests."""
        return tuple(sorted({(plugin.dist, plugin.version) for plugin in self._plugins}))

    def providers(self, kind: str | None = None) -> list[Registered]:
        """The providers of a kind, or all: by kind, then name, then distribution."""
        chosen = [item for item in self._providers if kind in (None, item.provider.kind)]
        return sorted(
            chosen, key=lambda item: (KINDS.index(item.provider.kind), item.provider.name, item.dist)
        )

    def find(self, kind: str, name: str) -> Registered:
        """The provider of a kind that is called `name` or ``dist:name``.

        Raises:
            UnknownProvider: there is none; the text says what is installed and what did not load.
            AmbiguousProvider: several distributions offer the name.
        """
        dist, _, short = name.rpartition(":")
        found = [
            item
            for item in self.providers(kind)
            if item.provider.name == short and (not dist or _normal(item.dist) == _normal(dist))
        ]
        if len(found) > 1:
            raise AmbiguousProvider(_ambiguous_text(kind, name, found))
        if not found:
            raise UnknownProvider(self._unknown_text(kind, name))
        return found[0]

    def resolve(self, kind: str, name: str, *, base: pathlib.Path | None = None) -> Target:
        """What a name stands for: a registered provider, ``module:attribute`` or ``path/to/file.py:attribute``.

        Args:
            base: folder of the file that holds the name: paths are searched there first, then in the current directory.

        Raises:
            UnknownProvider, AmbiguousProvider: as `find`, or the file does not exist.
        """
        if is_file_name(name):
            return _target_in_file(kind, name, base)
        try:
            return self.find(kind, name).target(name)
        except UnknownProvider:
            if not (_MODULE.fullmatch(name) and _is_module(name.partition(":")[0])):
                raise
        dist, version = _owner(name)
        return Target(kind=kind, name=name, spec=name, dist=dist, version=version, registered=False)

    def load_config_class(self, kind: str, name: str) -> type:
        """The attrs class of a provider's settings.

        Raises:
            UnknownProvider, AmbiguousProvider: as `resolve`.
            ProviderUnavailable, BrokenPlugin: it cannot be imported, or is not a class of settings.
        """
        return self.resolve(kind, name).settings_class()

    def create(
        self,
        kind: str,
        use: Choice,
        *,
        optional: Mapping[str, Any] = MappingProxyType({}),
        **collaborators: Any,
    ) -> Any:
        """An instance of a provider: its target, called with its settings and the collaborators of its interface.

        Args:
            optional: collaborators that only targets with such a parameter get.

        Raises:
            UnknownProvider, AmbiguousProvider: as `resolve`.
            ProviderUnavailable: its module, or something that it imports, is missing.
            BrokenPlugin: importing or constructing it raised.
        """
        return self.resolve(kind, use.name).create(use.config, optional=optional, **collaborators)

    def call_lifecycle(self, hook: str, **arguments: Any) -> None:
        """Call a lifecycle hook of every plugin, one plugin at a time; errors are logged and do not stop the run."""
        for plugin in self._plugins:
            try:
                getattr(plugin.manager.hook, hook)(**arguments)
            except BaseException as err:  # an error in a plugin must not end a long run
                if is_interrupt(err):
                    raise
                log.warning(
                    "plugin %s %s: its hook %s raised %s; the run continues",
                    plugin.dist,
                    plugin.version,
                    hook,
                    describe_error(err),
                )
                log.debug("traceback of the hook", exc_info=True)

    def _add(self, plugin: LoadedPlugin) -> None:
        for provider in plugin.providers:
            item = Registered(provider, plugin.dist, plugin.version)
            if any(
                item.qualified == other.qualified and provider.kind == other.provider.kind
                for other in self._providers
            ):
                self._refuse(
                    plugin,
                    f"offers the {provider.kind} '{provider.name}' a second time, through another entry point",
                )
                continue
            self._providers.append(item)
        self._commands += [
            RegisteredCommand(command, plugin.dist, plugin.version) for command in plugin.commands
        ]

    def _refuse(self, plugin: LoadedPlugin, summary: str) -> None:
        error = BrokenPlugin(f"plugin {plugin.dist} {plugin.version}: {summary}; the first one stays.")
        self._problems.append(
            PluginProblem(
                dist=plugin.dist,
                version=plugin.version,
                entry_point="",
                error=error,
                summary=f"{summary}; the first one stays.",
            )
        )

    def _unknown_text(self, kind: str, name: str) -> str:
        installed = self.providers(kind)
        by_name = {(item.qualified if ":" in name else item.provider.name): item for item in installed}
        lines = [f"no {kind} is called '{name}'"]
        for close in difflib.get_close_matches(name, by_name, n=1):
            item = by_name[close]
            lines.append(f"  closest     {close:<16} ({item.dist} {item.version})")
        lines.append(f"  installed   {', '.join(by_name) or 'none'}")
        lines += [f"  not loaded  {problem.dist}  {problem.summary}" for problem in self._problems]
        if _MODULE.fullmatch(name):
            lines.append(f"  not found   a module '{name.partition(':')[0]}'")
        lines.append(f"  see         parc plugins --kind {kind}{' --problems' if self._problems else ''}")
        return "\n".join(lines)


def _ambiguous_text(kind: str, name: str, found: list[Registered]) -> str:
    lines = [f"{kind} '{name}' is ambiguous: {len(found)} distributions offer it"]
    lines += [f"  choose      {item.qualified:<24} ({item.dist} {item.version})" for item in found]
    lines.append(f"  see         parc plugins --kind {kind}")
    return "\n".join(lines)


def _target_in_file(kind: str, name: str, base: pathlib.Path | None) -> Target:
    text, _, attribute = name.rpartition(":")
    path, places = locate(text, base)
    if path is None:
        searched = "\n              ".join(str(place) for place in places)
        raise UnknownProvider(
            f"{kind} '{name}': the file does not exist\n"
            f"  searched    {searched}\n"
            "  to do       write the path relative to the file that names it, or the absolute path"
        )
    absolute = f"{path}:{attribute}"
    return Target(kind=kind, name=absolute, spec=absolute, registered=False, file=path)


def _is_module(name: str) -> bool:
    """Whether Python finds the module; its parents are imported for that."""
    import importlib.util

    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False
    except BaseException as err:  # a parent package that raises: importing the target says which and how
        if is_interrupt(err):
            raise
        return True


def _owner(name: str) -> tuple[str, str]:
    """Distribution and version that a ``module:attribute`` came with; empty where it was not installed."""
    return _owner_of_package(name.partition(":")[0].partition(".")[0])


@functools.cache  # it reads the list of files of every distribution
def _owner_of_package(name: str) -> tuple[str, str]:
    dists = importlib.metadata.packages_distributions().get(name, [])
    return (dists[0], importlib.metadata.version(dists[0])) if dists else ("", "")


def _normal(dist: str) -> str:
    return re.sub(r"[-_.]+", "-", dist).lower()
