"""Plugins for tests, created in memory and discovered as if they were installed."""

from __future__ import annotations

import types
from collections.abc import Callable, Sequence
from typing import Any

import attrs
import pluggy

from parc_core import PARC_API
from parc_core.plugins import PROJECT, Command, Provider, Registry

__all__ = ["FakeEntryPoint", "install", "make_plugin", "make_provider"]


@attrs.frozen(kw_only=True)
class _Dist:
    name: str
    version: str


@attrs.frozen(kw_only=True)
class FakeEntryPoint:
    """An entry point as `importlib.metadata` returns it; `load` returns `module`, or calls it if it is a function."""

    module: types.ModuleType | Callable[[], Any]
    distribution: str = "parc-test"
    version: str = "1.2.3"
    name: str = "test"
    value: str = "parc_test.plugin"

    @property
    def dist(self) -> _Dist:
        """Name and version."""
        return _Dist(name=self.distribution, version=self.version)

    def load(self) -> Any:
        """The plugin module."""
        return self.module if isinstance(self.module, types.ModuleType) else self.module()


def make_plugin(
    providers: Sequence[Provider] = (),
    commands: Sequence[Command] = (),
    *,
    api: Any = PARC_API,
    **hooks: Callable[..., Any],
) -> types.ModuleType:
    """A plugin module.

    Args:
        api: its `PARC_API`; None omits it.
        hooks: lifecycle hooks by name, or hooks that replace `parc_providers` and `parc_commands`.
    """
    module = types.ModuleType("parc_test_plugin")
    if api is not None:
        module.PARC_API = api  # type: ignore[attr-defined]
    functions = {"parc_providers": lambda: list(providers), "parc_commands": lambda: list(commands), **hooks}
    for name, function in functions.items():
        setattr(module, name, pluggy.HookimplMarker(PROJECT)(function))
    return module


def make_provider(kind: str, name: str, config: type | str, target: type | str | None = None) -> Provider:
    """A provider whose settings and target are given as classes or as ``"module:attribute"``; `target` defaults to
    `config`."""

    def spec(cls: type | str) -> str:
        return cls if isinstance(cls, str) else f"{cls.__module__}:{cls.__name__}"

    return Provider(
        kind=kind, name=name, config=spec(config), target=spec(target if target is not None else config)
    )


def install(monkeypatch: Any, *entry_points: FakeEntryPoint) -> Registry:
    """Make discovery find only these plugins for the rest of the test; returns a new registry.

    Args:
        monkeypatch: pytest's fixture.
    """
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: list(entry_points))
    return Registry.discover()
