"""Measuring a tracking environment: steps per second by part."""
