"""Motion sources of PARC: folders of clips, procedural demo motions, published files."""
