"""From somebody else's skeleton to ours: copying, inverse kinematics, and a report of what came out."""

from parc_data.retarget.report import RetargetReport
from parc_data.retarget.retargeting import Retargeted, RetargetOptions, retarget

__all__ = ["RetargetOptions", "RetargetReport", "Retargeted", "retarget"]
