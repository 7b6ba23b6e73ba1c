"""Selection, hesitation removal and kinematic optimization of PARC."""
