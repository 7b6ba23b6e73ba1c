"""Selection, hesitation removal and kinematic optimisation of PARC."""
