"""Clips as text that other programs read."""

from parc_data.export.bvh import clip_to_bvh
from parc_data.export.csv import clip_to_csv

__all__ = ["clip_to_bvh", "clip_to_csv"]
