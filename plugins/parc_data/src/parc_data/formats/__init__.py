"""Readers of motion files, one format a module; each module offers `FORMAT`."""
