"""Groups of commands that import a verb when it is called: `parc` itself, and groups that plugins share."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from parc_core.errors import AmbiguousProvider

if TYPE_CHECKING:
    from parc_core.plugins import RegisteredCommand

__all__ = ["CoreGroup", "PluginGroup"]


class CoreGroup(click.Group):
    """The verbs of the core, those of plugins, and the groups that plugins share.

    Made with ``verbs={name: ("module:command", one line of help)}``.
    """

    def __init__(self, *args: object, verbs: Mapping[str, tuple[str, str]], **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self._verbs = verbs

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of all verbs: the core's first."""
        return [*self._verbs, *self._of_plugins(_plugin_commands())]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The verb, imported now, or a group; None when there is no such verb."""
        if cmd_name in self._verbs:
            module, _, attribute = self._verbs[cmd_name][0].partition(":")
            return getattr(importlib.import_module(module), attribute)
        return _find(_plugin_commands(), "", cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """One line per verb or group, without importing any."""
        rows = [(name, summary) for name, (_, summary) in self._verbs.items()]
        with formatter.section("Commands"):
            formatter.write_dl([*rows, *self._of_plugins(_plugin_commands()).items()])

    def _of_plugins(self, commands: dict[str, RegisteredCommand]) -> dict[str, str]:
        """Line of help by verb or group, except names that the core has."""
        rows: dict[str, str] = {}
        for name, registered in commands.items():
            group = registered.command.group
            members = _members(commands, group) if group else {}
            line = f"verbs: {', '.join(members)}" if group else _line(registered)
            rows.setdefault(group or name, line)
        return {name: line for name, line in rows.items() if name not in self._verbs}


class PluginGroup(click.Group):
    """The verbs of one group, from all distributions."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names within the group, sorted."""
        return list(_members(_plugin_commands(), self.name or ""))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The verb, imported now; None when there is no such verb."""
        return _find(_plugin_commands(), self.name or "", cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """One line per verb, without importing any."""
        members = _members(_plugin_commands(), self.name or "")
        with formatter.section("Commands"):
            formatter.write_dl([(verb, _line(registered)) for verb, registered in members.items()])


def _find(commands: dict[str, RegisteredCommand], group: str, verb: str) -> click.Command | None:
    """A verb (imported now) or a group by its name; None if there is none."""
    name = f"{group} {verb}".lstrip()
    if name in commands:
        return commands[name].load()
    if not group and _members(commands, verb):
        return PluginGroup(verb, help="Verbs of installed plugins.")
    owners = {known: found for known, found in commands.items() if found.command.name == name}
    if owners:
        lines = [f"command '{name}' is ambiguous: {len(owners)} distributions offer it"]
        lines += [
            f"  choose      parc {known:<24} ({found.dist} {found.version})"
            for known, found in owners.items()
        ]
        raise AmbiguousProvider("\n".join(lines))
    return None


def _members(commands: dict[str, RegisteredCommand], group: str) -> dict[str, RegisteredCommand]:
    inside = {
        name.rpartition(" ")[2]: found for name, found in commands.items() if found.command.group == group
    }
    return dict(sorted(inside.items()))


def _line(registered: RegisteredCommand) -> str:
    return f"{registered.command.summary} ({registered.dist})"


def _plugin_commands() -> dict[str, RegisteredCommand]:
    from parc_core.plugins import Registry

    return Registry.discover().commands
