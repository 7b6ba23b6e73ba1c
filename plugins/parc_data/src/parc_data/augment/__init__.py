"""Spatial augmentation: many variations of one clip, turned, stretched, on other heights and over boxes."""
