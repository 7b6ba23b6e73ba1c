"""Providers of a third party."""
