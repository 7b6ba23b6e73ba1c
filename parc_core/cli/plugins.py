"""`parc plugins`."""

from __future__ import annotations

import difflib
from typing import Any

import click

from parc_core.cli.output import make_console, print_json
from parc_core.errors import PluginError, UnknownProvider
from parc_core.plugins import KINDS, Registered, RegisteredCommand, Registry, Target

__all__ = ["plugins"]


@click.command()
@click.argument("name", required=False)
@click.option("--kind", type=click.Choice(KINDS), help="Only providers of this kind.")
@click.option("--problems", is_flag=True, help="Only plugins that did not load, and why.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def plugins(name: str | None, kind: str | None, problems: bool, as_json: bool) -> None:
    """List what is installed; with NAME, the settings of that provider (or what a distribution offers).

    With --kind, NAME may also be code that no plugin registered: module:attribute or path/to/file.py:attribute.
    """
    registry = Registry.discover()
    if name is None:
        commands = registry.commands if kind is None else {}
        document = _overview(registry, registry.providers(kind), commands, problems)
    elif kind and ":" in name and not (target := registry.resolve(kind, name)).registered:
        document = {"providers": [_with_settings(_row_of_code(target), target)]}
    else:
        found = _find(registry, name, kind)
        if any(item.dist == name for item in found):
            commands = {verb: item for verb, item in registry.commands.items() if item.dist == name}
            document = _overview(registry, found, commands, False)
        else:
            document = {
                "providers": [_with_settings(_row(item), item.target(item.qualified)) for item in found]
            }
    if as_json:
        print_json(document)
    elif name is not None and "problems" not in document:
        _render_settings(document["providers"])
    else:
        _render_overview(document, problems)


def _overview(
    registry: Registry, shown: list[Registered], commands: dict[str, RegisteredCommand], only_problems: bool
) -> dict[str, Any]:
    document: dict[str, Any] = {} if only_problems else {
        "providers": [_row(item) for item in shown],
        "commands": [
            {"name": name, "dist": item.dist, "version": item.version, "summary": item.command.summary}
            for name, item in commands.items()
        ],
    }  # fmt: skip
    document["problems"] = [
        {
            "dist": p.dist,
            "version": p.version,
            "entry_point": p.entry_point,
            "error": type(p.error).__name__,
            "why": p.summary,
        }
        for p in registry.problems
    ]
    return document


def _find(registry: Registry, name: str, kind: str | None) -> list[Registered]:
    choices = registry.providers(kind)
    found = [item for item in choices if name in (item.provider.name, item.qualified, item.dist)]
    if not found:
        known = sorted({item.provider.name for item in choices} | {item.dist for item in choices})
        close = difflib.get_close_matches(name, known, n=1)
        lines = [f"no {kind or 'provider'} is called '{name}'"]
        lines += [f"  closest     {close[0]}"] if close else []
        lines.append(f"  installed   {', '.join(known) or 'none'}")
        lines += [f"  not loaded  {problem.dist}  {problem.summary}" for problem in registry.problems]
        raise UnknownProvider("\n".join(lines))
    return found


def _row(item: Registered) -> dict[str, Any]:
    provider = item.provider
    return {
        "kind": provider.kind, "name": provider.name, "dist": item.dist, "version": item.version,
        "summary": provider.summary, "target": provider.target, "config": provider.config,
    }  # fmt: skip


def _row_of_code(target: Target) -> dict[str, Any]:
    summary = (getattr(target.load(), "__doc__", None) or "").strip().partition("\n")[0]
    return {
        "kind": target.kind, "name": target.name, "dist": target.dist, "version": target.version,
        "summary": summary, "target": target.spec, "config": "",
    }  # fmt: skip


def _with_settings(row: dict[str, Any], target: Target) -> dict[str, Any]:
    from parc_core.config import describe_settings, dump

    try:
        cls = target.settings_class()
    except PluginError as err:
        return {**row, "error": str(err)}
    presets = {name: dump(dict(values)) for name, values in getattr(cls, "PRESETS", {}).items()}
    return {**row, "settings": describe_settings(cls), "presets": presets}


def _render_overview(document: dict[str, Any], only_problems: bool) -> None:
    from rich.table import Table

    console = make_console()
    if not only_problems:
        table = Table("kind", "name", "from", "what it does")
        for row in document["providers"]:
            table.add_row(row["kind"], row["name"], f"{row['dist']} {row['version']}", row["summary"])
        console.print(table)
        if document["commands"]:
            table = Table("verb", "from", "what it does")
            for row in document["commands"]:
                table.add_row(f"parc {row['name']}", f"{row['dist']} {row['version']}", row["summary"])
            console.print(table)
    if document["problems"]:
        table = Table("not loaded", "entry point", "why", title="problems", title_justify="left")
        for row in document["problems"]:
            table.add_row(f"{row['dist']} {row['version']}", row["entry_point"], row["why"])
        console.print(table)
    elif only_problems:
        click.echo("every installed plugin loaded")


def _render_settings(rows: list[dict[str, Any]]) -> None:
    from rich.table import Table
    from rich.text import Text

    console = make_console()
    for row in rows:
        owner = f"({row['dist']} {row['version']})  " if row["dist"] else ""
        console.print(Text(f"{row['kind']} {row['name']}  {owner}{row['summary']}"))
        if "error" in row:
            console.print(Text(row["error"]))
            continue
        table = Table("setting", "type", "default", "unit", "range", "what it does")
        for setting in row["settings"]:
            cells = [
                setting["name"],
                setting["type"],
                _default(setting),
                setting["unit"],
                _range(setting),
                setting["help"],
            ]
            table.add_row(*(Text(cell) for cell in cells))
        console.print(table)
        for name, values in row["presets"].items():
            console.print(
                Text(f"preset {name}: " + ", ".join(f"{key}={value}" for key, value in values.items()))
            )


def _default(setting: dict[str, Any]) -> str:
    if setting["required"]:
        return "(required)"
    value = setting["default"]
    if isinstance(value, bool):
        return "true" if value else "false"
    if setting["kind"] and isinstance(value, dict):
        return str(value["use"]) if "use" in value else ", ".join(value)  # a provider, or entries by name
    return "" if value is None else str(value)


def _range(setting: dict[str, Any]) -> str:
    if setting["choices"]:
        return ", ".join(str(choice) for choice in setting["choices"])
    return f"any {setting['kind']}" if setting["kind"] else setting["range"]
