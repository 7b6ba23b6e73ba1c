"""Options and output that the verbs of `parc data` share."""

from __future__ import annotations

import json
import pathlib
import sys
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import attrs
import click

from parc_core.config import class_hints, describe_range

__all__ = [
    "character_option",
    "folder_option",
    "json_option",
    "overwrite_option",
    "paths_argument",
    "print_class_table",
    "print_json",
    "print_table",
    "settings_from",
    "settings_options",
]

_PLAIN_WIDTH = 160  # columns of a table that goes into a file or pipe

paths_argument = click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=pathlib.Path))
json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
overwrite_option = click.option("--overwrite", is_flag=True, help="Replace an existing output as a whole.")
character_option = click.option(
    "--character", default="humanoid", show_default=True, help="Built-in character or an MJCF file."
)
folder_option = click.option(
    "-o", "--output", required=True, type=click.Path(path_type=pathlib.Path), help="Folder to write."
)


def settings_options(cls: type, *, only: Sequence[str] | None = None) -> Callable[[Any], Any]:
    """A decorator that gives a command one option per setting of an attrs class: ``--max-slide`` for `max_slide`.

    Booleans become flags, literals choices, pairs options with two values; tuples of any length may be repeated. An
    option that is not given is None.
    """
    hints = class_hints(cls)
    fields = [field for field in attrs.fields(cls) if only is None or field.name in only]

    def decorate(command: Any) -> Any:
        for field in reversed(fields):
            old = [name for name, new in getattr(cls, "RENAMED", {}).items() if new == field.name]
            command = _option(field, hints[field.name], old)(command)
        return command

    return decorate


def settings_from(cls: type, given: Mapping[str, Any], base: Any = None) -> Any:
    """The settings with the options that were given.

    Args:
        base: settings that the options override, e.g. of a file; the defaults when left out.

    Raises:
        click.UsageError: a value is out of its range.
    """
    names = {field.name for field in attrs.fields(cls)}
    values = {k: v for k, v in given.items() if k in names and v is not None and v != ()}
    try:
        return cls(**values) if base is None else attrs.evolve(base, **values)
    except ValueError as err:
        name, _, rest = str(err).partition(": ")
        raise click.UsageError(f"--{name.replace('_', '-')}: {rest}.") from err


def print_json(value: Any) -> None:
    """The value as JSON on stdout."""
    click.echo(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False))


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on stdout; plain text of a fixed width if stdout is not a terminal."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*headings)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console(width=None if sys.stdout.isatty() else _PLAIN_WIDTH).print(table)


def print_class_table(rows: Sequence[Mapping[str, Any]]) -> None:
    """The rows of `tools.balance.class_table` as a table on stdout."""
    print_table(
        ("class", "clips", "frames", "seconds", "weight"),
        [
            [r["class"], str(r["clips"]), str(r["frames"]), f"{r['seconds']:.1f}", f"{r['weight']:.4f}"]
            for r in rows
        ],
    )


def _option(field: attrs.Attribute[Any], hint: Any, old: Sequence[str]) -> Callable[[Any], Any]:
    names = [f"--{name.replace('_', '-')}" for name in (field.name, *old)]
    unit, limits, about = field.metadata["unit"], describe_range(field.metadata), field.metadata["help"]
    text = f"{about[0].upper()}{about[1:].rstrip('.')}."
    if hint is bool:
        return click.option(*names, field.name, is_flag=True, default=None, help=text)
    kind, multiple = _click_type(hint)
    remarks = [part for part in (unit, limits) if part and not (part == unit and unit in limits)]
    if multiple:
        text += " May be repeated."
    elif field.default is not None:
        remarks.append(f"default {_shown(field.default)}")
    text += f" [{', '.join(remarks)}]" if remarks else ""
    metavar = "LOW HIGH" if isinstance(kind, tuple) else None
    return click.option(
        *names, field.name, type=kind, multiple=multiple, default=None, metavar=metavar, help=text
    )


def _click_type(hint: Any) -> tuple[Any, bool]:
    """What click converts a value to, and whether the option may be repeated (a tuple of any length)."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is types.UnionType:  # X | None
        return _click_type(next(one for one in arguments if one is not type(None)))
    if origin is Literal:
        return click.Choice(arguments), False
    if origin is tuple and arguments[-1] is Ellipsis:
        return _click_type(arguments[0])[0], True
    return (arguments if origin is tuple else hint), False


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return " ".join(map(_shown, value))
    return f"{value:g}" if isinstance(value, (int, float)) else str(value)
