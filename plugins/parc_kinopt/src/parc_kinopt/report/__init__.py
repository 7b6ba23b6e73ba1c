"""`parc kinopt report`: a picture of what refinement did to generated clips."""
