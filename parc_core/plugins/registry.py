"""The providers and commands of all installed plugins, by kind and name; a provider is imported when it is chosen."""

from __future__ import annotations

import difflib
import logging
import re
from collections.abc import Iterable
from typing import Any

import attrs

from parc_core.config.fields import Use
from parc_core.errors import AmbiguousProvider, BrokenPlugin, ProviderUnavailable, UnknownProvider
from parc_core.plugins.discovery import LoadedPlugin, Problem, describe_error, discover, import_object
from parc_core.plugins.provider import KINDS, Command, Provider
from parc_motion.errors import ParcError

__all__ = ["Registered", "RegisteredCommand", "Registry"]

log = logging.getLogger(__name__)

RESERVED = ("use", "preset", "weight")  # keys that the loader takes out before a provider's settings


@attrs.frozen
class Registered:
    """A provider and the distribution that it came with."""

    provider: Provider
    dist: str
    version: str

    @property
    def qualified(self) -> str:
        """``dist:name``, which stays unique when two distributions own the name."""
        return f"{self.dist}:{self.provider.name}"

    @property
    def title(self) -> str:
        """``kind 'name' of dist version``, for messages."""
        return f"{self.provider.kind} '{self.provider.name}' of {self.dist} {self.version}"


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
        return _import(
            self.command.target, f"command '{self.command.name}' of {self.dist} {self.version}", self.dist
        )


class Registry:
    """What is installed.

    >>> registry = Registry.discover()
    >>> selector = registry.create("selector", Use("first"), skeleton=skeleton, device="cpu")
    """

    def __init__(self, plugins: Iterable[LoadedPlugin] = (), problems: Iterable[Problem] = ()) -> None:
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
    def problems(self) -> tuple[Problem, ...]:
        """Plugins that did not load, and why."""
        return tuple(self._problems)

    @property
    def commands(self) -> dict[str, RegisteredCommand]:
        """Verbs by name, ``verb`` or ``group verb``.

        Of a name that two distributions own there are ``dist:verb`` and ``group dist:verb`` only; likewise of a verb
        that is called like a group.
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
            UnknownProvider: none is; the text says what is installed and what did not load.
            AmbiguousProvider: several distributions own the name.
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

    def load_config_class(self, kind: str, name: str) -> type:
        """The attrs class of a provider's settings.

        Raises:
            UnknownProvider, AmbiguousProvider: as `find`.
            ProviderUnavailable, BrokenPlugin: it cannot be imported, or is no class of settings.
        """
        found = self.find(kind, name)
        cls = _import(found.provider.config, found.title, found.dist)
        if not (isinstance(cls, type) and attrs.has(cls)):
            raise BrokenPlugin(
                f"{found.title}: {found.provider.config} is {cls!r}, expected an attrs class of settings."
            )
        taken = [field.name for field in attrs.fields(cls) if field.name in RESERVED]
        if taken:
            raise BrokenPlugin(
                f"{found.title}: the setting '{taken[0]}' has a reserved name ({', '.join(RESERVED)}). Rename it."
            )
        return cls

    def create(self, kind: str, use: Use, **collaborators: Any) -> Any:
        """A provider at work: its target, called with its settings and the collaborators of its interface.

        Raises:
            UnknownProvider, AmbiguousProvider: as `find`.
            ProviderUnavailable: its module, or something that it imports, is missing.
            BrokenPlugin: importing or constructing it raised.
        """
        found = self.find(kind, use.name)
        target = _import(found.provider.target, found.title, found.dist)
        config = use.config if use.config is not None else self.load_config_class(kind, use.name)()
        try:
            return target(config, **collaborators)
        except ParcError:
            raise
        except Exception as err:  # foreign code: the message has to say whose it is
            raise BrokenPlugin(
                f"{found.title}: its constructor raised {describe_error(err)}\n"
                f"  target      {found.provider.target}\n"
                f"  to do       report it to the authors of {found.dist}; `parc --debug ...` shows where it happened"
            ) from err

    def call_lifecycle(self, hook: str, **arguments: Any) -> None:
        """Call a lifecycle hook of every plugin, one plugin at a time; one that raises is logged and passed over."""
        for plugin in self._plugins:
            try:
                getattr(plugin.manager.hook, hook)(**arguments)
            except (Exception, SystemExit) as err:  # a plugin's mistake must not end a run of hours
                log.warning(
                    "plugin %s %s: its hook %s raised %s; the run goes on",
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
            Problem(
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
        lines.append(f"  see         parc plugins --kind {kind}{' --problems' if self._problems else ''}")
        return "\n".join(lines)


def _ambiguous_text(kind: str, name: str, found: list[Registered]) -> str:
    lines = [f"{kind} '{name}' is ambiguous: {len(found)} distributions offer it"]
    lines += [f"  choose      {item.qualified:<24} ({item.dist} {item.version})" for item in found]
    lines.append(f"  see         parc plugins --kind {kind}")
    return "\n".join(lines)


def _import(spec: str, title: str, dist: str) -> Any:
    try:
        return import_object(spec)
    except ImportError as err:
        missing = getattr(err, "name", None) or ""
        foreign = (
            isinstance(err, ModuleNotFoundError)
            and missing.split(".")[0] != spec.partition(":")[0].split(".")[0]
        )
        also = f", or install the missing module '{missing}'" if missing and foreign else ""
        raise ProviderUnavailable(
            f"{title} cannot be imported: {describe_error(err)}\n"
            f"  target      {spec}\n"
            f"  to do       pip install --upgrade --force-reinstall {dist}{also}"
        ) from err
    except BrokenPlugin as err:
        raise BrokenPlugin(
            f"{title}: {err}\n"
            f"  target      {spec}\n"
            f"  to do       pip install --upgrade {dist}, or report it to its authors"
        ) from err


def _normal(dist: str) -> str:
    return re.sub(r"[-_.]+", "-", dist).lower()
