"""The built-in terms of reward and termination: each a kernel (a pure function of tensors), its settings and a class.

Source: `parc_motion.published` (DeepMimic reward with hands, feet and a contact term), unless a term says otherwise.
"""
