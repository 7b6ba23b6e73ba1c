"""What this distribution offers."""

from __future__ import annotations

from parc_core.plugins import Command, Provider, hookimpl

PARC_API = (1, 0)


_FILES = {  # name: class in `sources`, summary
    "auto": ("AnySource", "motion files of every known format, detected by content"),
    "bvh": ("BvhSource", "BVH: any channel order, unit and rig"),
    "asf_amc": ("AmcSource", "Acclaim ASF/AMC, as CMU publishes"),
    "amass": ("AmassSource", "AMASS: SMPL, SMPL-H, SMPL-X poses (.npz), without body models"),
    "deepmimic": ("DeepMimicSource", "DeepMimic's motions (JSON text)"),
    "amp": ("AmpSource", "AMP's motions (poselib .npy)"),
    "mimickit": ("MimicKitSource", "MimicKit's motions (.pkl), read in a restricted child process"),
    "joints": ("JointsSource", "world positions of joints (.npy, .npz), with boxes from .obj files"),
}


@hookimpl
def parc_providers() -> list[Provider]:
    """The providers of this distribution."""
    return [
        _source("folder", "folder:Folder", "clips of a folder, class from sub-folder names"),
        _source("list", "motion_list:List", "motions of a list (.yaml) with weights and classes"),
        _source(
            "procedural",
            "procedural.source:Procedural",
            "walks, runs, turns, stairs, boxes and gaps, synthesized",
        ),
        _source(
            "parc_ms",
            "parc_ms:Published",
            "motion-terrain files of the published PARC (.pkl), read in a restricted child process",
        ),
        _source("augmented", "augment.source:Augmented", "clips of another source, and variations of each"),
        *(
            Provider(
                kind="motion_source",
                name=name,
                target=f"parc_data.sources:{target}",
                config="parc_data.sources:FilesConfig",
                summary=summary,
            )
            for name, (target, summary) in _FILES.items()
        ),
    ]


def _source(name: str, prefix: str, summary: str) -> Provider:
    """The provider whose class is ``<prefix>Source`` and whose settings are ``<prefix>Config``."""
    return Provider(
        kind="motion_source",
        name=name,
        target=f"parc_data.{prefix}Source",
        config=f"parc_data.{prefix}Config",
        summary=summary,
    )


@hookimpl
def parc_commands() -> list[Command]:
    """The verbs of this distribution."""
    return [
        Command(
            name="data",
            target="parc_data.command.group:data",
            summary="import motions, work with folders of clips",
        )
    ]
