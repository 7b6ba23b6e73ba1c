"""`parc terrain preview`: a picture of terrains and the paths planned over them."""
