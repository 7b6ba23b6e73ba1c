"""The settings of a provider as an iteration file gives them, for scripts that use parts without the runner."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from parc_core.config import Position, Use, setting, structure, to_node
from parc_core.plugins import Registry

__all__ = ["settings"]


def settings(kind: str, name: str, preset: str, changes: Mapping[str, Any] | None = None) -> Any:
    """The settings of a provider: a preset, and other values on top of it.

    Args:
        kind: of the provider, as "agent".
        changes: as below ``use`` in an iteration file.

    Raises:
        InvalidConfig: such a file would be refused.
    """
    chosen = attrs.make_class(
        "chosen", {"chosen": setting(kind=kind, help="The provider.")}, frozen=True, kw_only=True
    )
    chosen.__annotations__ = {"chosen": Use}
    node = to_node({"chosen": {"use": name, "preset": preset, **(changes or {})}}, Position("settings"))
    return structure(node, chosen, Registry.discover()).config.chosen.config
