"""A simulator of a third party."""
