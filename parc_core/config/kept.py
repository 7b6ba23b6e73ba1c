"""The settings as a run folder keeps them: YAML whose first line states the SHA-256 of the others."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from parc_core.config.dumping import dump_yaml
from parc_core.errors import ConfigError

__all__ = ["check_kept", "kept_body", "kept_yaml"]

_SEAL = re.compile(r"# sha256 (?P<digest>[0-9a-f]{64}) .*\n")


def kept_yaml(config: Any) -> str:
    """Settings for `config.yaml` of a run folder."""
    body = dump_yaml(config)
    return f"# sha256 {_digest(body)} of the lines below; settings are changed with --set\n{body}"


def kept_body(text: str) -> str:
    """The text below the first line, or the whole one if it states no SHA-256."""
    found = _SEAL.match(text)
    return text if found is None else text[found.end() :]


def check_kept(text: str, path: str) -> None:
    """Nothing, if the text is what PARC wrote, or states no SHA-256.

    Raises:
        ConfigError: it was damaged or edited.
    """
    found = _SEAL.match(text)
    if found is not None and found["digest"] != _digest(text[found.end() :]):
        raise ConfigError(
            f"{path}: damaged or edited: its SHA-256 differs from the one in its first line. Settings of a run are "
            "changed with --set; to use the file as it is now, remove its first line."
        )


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()
