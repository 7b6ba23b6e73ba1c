"""What MuJoCo itself has to say, as records of the log: not on the terminal, and in no file of the current folder."""

from __future__ import annotations

import logging
import re

import mujoco

__all__ = ["messages_to_log"]

log = logging.getLogger(__name__)

_NUMBER = re.compile(r"[-+]?\d[\d.e+-]*")
_told: set[str] = set()  # kinds of messages: the texts without their numbers


def messages_to_log() -> None:
    """From now on MuJoCo's warnings in this process go to the log; a handler that somebody else has set stays."""
    settings = mujoco.MjLogConfig.get()
    settings.logto_file = settings.logto_console = False
    settings.set()
    if mujoco.get_mju_user_warning() is None:
        mujoco.set_mju_user_warning(_warn)


def _warn(text: str) -> None:
    """Log a warning; of one kind, which thousands of copies may cause, the first one alone as such."""
    kind = _NUMBER.sub("#", text)
    level = logging.DEBUG if kind in _told else logging.WARNING
    _told.add(kind)
    log.log(level, "MuJoCo: %s", text.strip())
