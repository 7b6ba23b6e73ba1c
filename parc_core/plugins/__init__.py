"""Plugins: what they tell the core (`Provider`, `Command`, hooks), and the registry that finds and creates providers.

A plugin is a module named by an entry point of the group ``parc.plugins``::

    from parc_core.plugins import Provider, hookimpl

    PARC_API = (1, 0)

    @hookimpl
    def parc_providers() -> list[Provider]:
        return [Provider(kind="selector", name="first", target="acme.first:First", config="acme.first:FirstConfig")]
"""

from parc_core.plugins.discovery import LoadedPlugin, PluginProblem, import_object
from parc_core.plugins.hookspecs import GROUP, PROJECT, hookimpl, hookspec
from parc_core.plugins.provider import KINDS, WEIGHTED_KINDS, Command, Provider
from parc_core.plugins.registry import Choice, Registered, RegisteredCommand, Registry
from parc_core.plugins.target import Target

__all__ = [
    "GROUP",
    "KINDS",
    "PROJECT",
    "WEIGHTED_KINDS",
    "Choice",
    "Command",
    "LoadedPlugin",
    "PluginProblem",
    "Provider",
    "Registered",
    "RegisteredCommand",
    "Registry",
    "Target",
    "hookimpl",
    "hookspec",
    "import_object",
]
