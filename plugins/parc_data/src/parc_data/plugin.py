"""What this distribution offers."""

from __future__ import annotations

from parc_core.plugins import Command, Provider, hookimpl

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
            summary="walks, runs, turns, stairs, boxes and gaps, synthesized",
        ),
        Provider(
            kind="motion_source",
            name="parc_ms",
            target="parc_data.parc_ms:PublishedSource",
            config="parc_data.parc_ms:PublishedConfig",
            summary="motion-terrain files of the published PARC (.pkl), read in a restricted child process",
        ),
        Provider(
            kind="motion_source",
            name="augmented",
            target="parc_data.augment.source:AugmentedSource",
            config="parc_data.augment.source:AugmentedConfig",
            summary="clips of another source, and variations of each",
        ),
        Provider(
            kind="motion_source",
            name="auto",
            target="parc_data.sources:AnySource",
            config="parc_data.sources:FilesConfig",
            summary="motion files of every known format, detected by content",
        ),
        Provider(
            kind="motion_source",
            name="bvh",
            target="parc_data.sources:BvhSource",
            config="parc_data.sources:FilesConfig",
            summary="BVH: any channel order, unit and rig",
        ),
        Provider(
            kind="motion_source",
            name="asf_amc",
            target="parc_data.sources:AmcSource",
            config="parc_data.sources:FilesConfig",
            summary="Acclaim ASF/AMC, as CMU publishes",
        ),
        Provider(
            kind="motion_source",
            name="amass",
            target="parc_data.sources:AmassSource",
            config="parc_data.sources:FilesConfig",
            summary="AMASS: SMPL, SMPL-H, SMPL-X poses (.npz), without body models",
        ),
        Provider(
            kind="motion_source",
            name="deepmimic",
            target="parc_data.sources:DeepMimicSource",
            config="parc_data.sources:FilesConfig",
            summary="DeepMimic's motions (JSON text)",
        ),
        Provider(
            kind="motion_source",
            name="amp",
            target="parc_data.sources:AmpSource",
            config="parc_data.sources:FilesConfig",
            summary="AMP's motions (poselib .npy)",
        ),
        Provider(
            kind="motion_source",
            name="mimickit",
            target="parc_data.sources:MimicKitSource",
            config="parc_data.sources:FilesConfig",
            summary="MimicKit's motions (.pkl), read in a restricted child process",
        ),
        Provider(
            kind="motion_source",
            name="joints",
            target="parc_data.sources:JointsSource",
            config="parc_data.sources:FilesConfig",
            summary="world positions of joints (.npy, .npz), with boxes from .obj files",
        ),
    ]


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
