"""The published system that this framework follows; every ``Source:`` line that speaks of it points here.

Paper: Michael Xu, Yi Shi, KangKang Yin, Xue Bin Peng, "PARC: Physics-based Augmentation with Reinforcement Learning for
Character Controllers", SIGGRAPH Conference Papers 2025, DOI 10.1145/3721238.3730616, arXiv 2505.04002.

Implementation: the authors' repository mshoe/PARC on GitHub at commit 846ed98 (February 2026; BSD-3-Clause and MIT).
Only facts were taken from it: formulas, constants, file formats and names of settings.
"""

from __future__ import annotations

__all__ = ["COMMIT", "DOI", "PAPER", "REPOSITORY"]

PAPER = (
    "Michael Xu, Yi Shi, KangKang Yin, Xue Bin Peng. PARC: Physics-based Augmentation with Reinforcement Learning for "
    "Character Controllers. SIGGRAPH Conference Papers 2025."
)
DOI = "10.1145/3721238.3730616"
REPOSITORY = "mshoe/PARC"
COMMIT = "846ed98"
