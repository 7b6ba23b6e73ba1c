"""Headless pictures of clips: PNG, MP4, GIF."""
