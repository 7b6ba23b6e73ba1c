"""Typed, strict configuration: attrs classes in, errors with file:line:col out."""

from parc_core.config.fields import Use, setting

__all__ = ["Use", "setting"]
