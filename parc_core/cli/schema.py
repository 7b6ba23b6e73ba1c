"""`parc schema`."""

from __future__ import annotations

import click

from parc_core.cli.output import print_json

__all__ = ["schema"]


@click.command()
def schema() -> None:
    """Print the JSON Schema of iteration files, with the providers that are installed here.

    Point an editor at it (for VS Code: the setting yaml.schemas) and it completes keys and shows their help.
    """
    from parc_core.config import iteration_schema
    from parc_core.plugins import Registry

    print_json(iteration_schema(Registry.discover()))
