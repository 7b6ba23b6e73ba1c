"""The ground: heights and signed distance in torch; meshes, box covers and grid operations in numpy."""
