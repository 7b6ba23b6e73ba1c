"""Measures of motion quality, computed from clips."""
