"""The verb `parc data`; its sub-commands are imported when they are used."""

from __future__ import annotations

import importlib

import click

__all__ = ["data"]

_VERBS = {
    "import": ("import_files", "import_files", "import motions of other formats as clips"),
    "info": ("info", "info", "statistics of clips by class"),
    "validate": ("validate", "validate", "faults of clips, with names and frames"),
    "weights": ("weights", "weights", "class-balanced sampling weights"),
    "cut": ("cut", "cut", "parts of clips"),
    "mirror": ("mirror", "mirror", "mirror images of clips"),
    "merge": ("merge", "merge", "several folders as one data set"),
    "augment": ("augment", "augment", "many variations of every clip"),
    "pack": ("pack", "pack", "memory-mapped store of clips for training"),
    "export": ("export", "export", "clips as npz, MimicKit npz, BVH or CSV"),
}


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of the verbs."""
        return list(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The verb, imported now; None if there is no such verb."""
        if cmd_name not in _VERBS:
            return None
        module, attribute, _ = _VERBS[cmd_name]
        return getattr(importlib.import_module(f"parc_data.command.{module}"), attribute)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """One line per verb, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, _, summary) in _VERBS.items()])


@click.group("data", cls=_Lazy)
def data() -> None:
    """Import motions and work with folders of clips. Inputs are never rewritten."""
