"""What this distribution offers."""

from __future__ import annotations

from parc_core.plugins.hookspecs import hookimpl
from parc_core.plugins.provider import Provider

PARC_API = (1, 0)


@hookimpl
def parc_providers() -> list[Provider]:
    """The providers of this distribution."""
    return [
        Provider(
            kind="motion_source",
            name="folder",
            target="parc_data.folder:FolderSource",
            config="parc_data.folder:FolderConfig",
            summary="clips of a folder, class from sub-folder names",
        ),
        Provider(
            kind="motion_source",
            name="procedural",
            target="parc_data.procedural.source:ProceduralSource",
            config="parc_data.procedural.source:ProceduralConfig",
            summary="walks, runs, turns, stairs, boxes and gaps, synthesised",
        ),
        Provider(
            kind="motion_source",
            name="parc_ms",
            target="parc_data.parc_ms:PublishedSource",
            config="parc_data.parc_ms:PublishedConfig",
            summary="motion-terrain files of the published PARC (.pkl), read in a limited child process",
        ),
    ]
