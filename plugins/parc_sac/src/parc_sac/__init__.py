"""Soft actor-critic agent of PARC."""
