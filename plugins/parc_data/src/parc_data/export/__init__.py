"""Clips as text that other programs read."""
