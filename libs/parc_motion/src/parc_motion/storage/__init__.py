"""Durable files: every byte that PARC writes goes through this package."""

from parc_motion.storage.archives import BROKEN_ARCHIVE, ArchiveLimits, open_archive
from parc_motion.storage.arrays import (
    DAMAGED,
    ArrayLimits,
    array_names,
    npy_header,
    read_arrays,
    read_npy,
    read_npz,
    write_arrays,
)
from parc_motion.storage.atomic import (
    append_line,
    commit_folder,
    copy_file,
    copy_folder,
    link_file,
    link_folder,
    make_folder,
    remove,
    staged_folder,
    sweep,
    write_bytes,
    write_json,
    write_text,
    write_with,
)
from parc_motion.storage.cache import cached_store
from parc_motion.storage.checkpoints import MODEL, Checkpoint, CheckpointStore
from parc_motion.storage.digests import (
    digest_bytes,
    digest_file,
    digest_folder,
    digest_json,
    digest_unchanged,
    file_state,
    read_json,
)
from parc_motion.storage.files import open_file, read_file
from parc_motion.storage.json_text import parse_json
from parc_motion.storage.lease import Held, Lease, LeaseLost, LeaseOwner, live_leases, sweep_leases
from parc_motion.storage.lock import RunLock
from parc_motion.storage.manifest import manifest_digest, read_manifest, write_manifest
from parc_motion.storage.packed import PackedArrays, PackedField, PackedWriter
from parc_motion.storage.sealed import check_seal, read_sealed, sealed, write_sealed
from parc_motion.storage.tensors import read_tensors, write_tensors

__all__ = [
    "BROKEN_ARCHIVE",
    "DAMAGED",
    "MODEL",
    "ArchiveLimits",
    "ArrayLimits",
    "Checkpoint",
    "CheckpointStore",
    "Held",
    "Lease",
    "LeaseLost",
    "LeaseOwner",
    "PackedArrays",
    "PackedField",
    "PackedWriter",
    "RunLock",
    "append_line",
    "array_names",
    "cached_store",
    "check_seal",
    "commit_folder",
    "copy_file",
    "copy_folder",
    "digest_bytes",
    "digest_file",
    "digest_folder",
    "digest_json",
    "digest_unchanged",
    "file_state",
    "link_file",
    "link_folder",
    "live_leases",
    "make_folder",
    "manifest_digest",
    "npy_header",
    "open_archive",
    "open_file",
    "parse_json",
    "read_arrays",
    "read_file",
    "read_json",
    "read_manifest",
    "read_npy",
    "read_npz",
    "read_sealed",
    "read_tensors",
    "remove",
    "sealed",
    "staged_folder",
    "sweep",
    "sweep_leases",
    "write_arrays",
    "write_bytes",
    "write_json",
    "write_manifest",
    "write_sealed",
    "write_tensors",
    "write_text",
    "write_with",
]
