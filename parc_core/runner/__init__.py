"""Runs an iteration file: stages in order, skipped when done, continued when cut off."""
