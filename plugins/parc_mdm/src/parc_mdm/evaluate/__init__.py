"""The verb `parc eval generator`: how good the motions of a trained generator are on unseen terrain."""
