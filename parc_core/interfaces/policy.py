"""A trained tracking policy, as a folder."""

from __future__ import annotations

import pathlib
from typing import Any

import attrs

from parc_motion.errors import DataError
from parc_motion.storage import read_manifest, write_manifest

__all__ = ["Policy"]


@attrs.frozen(kw_only=True)
class Policy:
    """A folder with an agent's weights and `policy.json`, which says what they need.

    `observation` and `action` describe what the weights were trained on, so that a policy is refused by an
    environment that speaks differently. `extra["trained_in"]` holds the settings (`character`, `env`, `simulator`,
    `agent`) that a run trained it with.
    """

    folder: pathlib.Path
    agent: str  # name of the provider that wrote it
    skeleton: str
    observation: dict[str, Any]  # groups in order: name -> size
    action: dict[str, Any]
    simulator: str = ""
    num_samples: int = 0
    extra: dict[str, Any] = attrs.field(factory=dict)

    def save(self) -> Policy:
        """Write `policy.json` with the digests of the files beside it; returns itself."""
        fields = attrs.asdict(self, filter=lambda a, _: a.name != "folder")
        write_manifest(self.folder, "policy", fields)
        return self

    @staticmethod
    def load(folder: pathlib.Path) -> Policy:
        """The policy in a folder.

        Raises:
            DataError: no policy there, or a file's digest differs from the recorded one.
        """
        fields = read_manifest(folder, "policy")
        try:
            return Policy(folder=folder, **fields)
        except TypeError as err:
            raise DataError(f"{folder / 'policy.json'}: {err}. Was it written by a newer version?") from err
