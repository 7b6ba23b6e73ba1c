"""The four stages of an iteration, as functions from folders to folders."""
