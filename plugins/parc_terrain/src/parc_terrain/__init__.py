"""Terrain sources and path planners of PARC."""
