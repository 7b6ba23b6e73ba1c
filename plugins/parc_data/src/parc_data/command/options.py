"""Options that the verbs of `parc data` share, and how they print."""

from __future__ import annotations

import json
import pathlib
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
import click

from parc_core.config import class_hints, describe_range

__all__ = [
    "character_option",
    "folder_option",
    "json_option",
    "overwrite_option",
    "paths_argument",
    "print_json",
    "print_table",
    "settings_from",
    "settings_options",
]

_PLAIN_WIDTH = 160  # columns of a table that goes into a file or pipe
_TYPES = {int: int, float: float, str: str}

paths_argument = click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=pathlib.Path))
json_option = click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
overwrite_option = click.option(
    "--overwrite", is_flag=True, help="Replace an output that exists, as a whole."
)
character_option = click.option(
    "--character", default="humanoid", show_default=True, help="Built-in character or an MJCF file."
)
folder_option = click.option(
    "-o", "--output", required=True, type=click.Path(path_type=pathlib.Path), help="Folder to write."
)


def settings_options(cls: type, *, only: Sequence[str] | None = None) -> Callable[[Any], Any]:
    """A decorator that gives a command one option per setting of an attrs class: ``--max-slide`` for `max_slide`.

    Numbers and texts take a value, truth values are flags, tuples may be repeated. What is not given is None.
    """
    hints = class_hints(cls)
    fields = [field for field in attrs.fields(cls) if only is None or field.name in only]

    def decorate(command: Any) -> Any:
        for field in reversed(fields):
            command = _option(field, hints[field.name])(command)
        return command

    return decorate


def settings_from(cls: type, given: Mapping[str, Any], base: Any = None) -> Any:
    """The settings with the options that were given.

    Args:
        base: settings below them, e.g. of a file; the defaults when left out.

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
    """A table on stdout; without a terminal plain text of a fixed width."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*headings)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console(width=None if sys.stdout.isatty() else _PLAIN_WIDTH).print(table)


def _option(field: attrs.Attribute[Any], hint: Any) -> Callable[[Any], Any]:
    name = f"--{field.name.replace('_', '-')}"
    unit, limits = field.metadata["unit"], describe_range(field.metadata)
    about = field.metadata["help"]
    text = f"{about[0].upper()}{about[1:].rstrip('.')}."
    remarks = [part for part in (unit, limits) if part and not (part == unit and unit in limits)]
    if hint is bool:
        return click.option(name, field.name, is_flag=True, default=None, help=text)
    if hint == tuple[str, ...]:
        return click.option(name, field.name, multiple=True, help=f"{text} May be repeated.")
    default = f"{field.default:g}" if isinstance(field.default, (int, float)) else str(field.default)
    remarks.append(f"default {default}")
    return click.option(
        name, field.name, type=_TYPES[hint], default=None, help=f"{text} [{', '.join(remarks)}]"
    )
