"""What a checkpoint takes, where it fits and how fast it runs there, before anything is bought or loaded.

`plan` is a pure function of a configuration and numbers. Memory is counted by the engine's own plan (`engine/plan.py`); this folder adds
machines, formats of other programs, and speed.
"""

from kimi_vl.planner.calculators import Mistake, mistakes
from kimi_vl.planner.checkpoints import Facts, facts_of
from kimi_vl.planner.forecast import Speed
from kimi_vl.planner.formats import PRECISIONS, Precision
from kimi_vl.planner.hardware import Machine, find_machine, machines, this_machine
from kimi_vl.planner.outlook import Memory, Outlook, Verdict, plan
from kimi_vl.planner.parts import PARTS
from kimi_vl.planner.workload import Seen, Workload, parse_images

__all__ = [
    "PARTS",
    "PRECISIONS",
    "Facts",
    "Machine",
    "Memory",
    "Mistake",
    "Outlook",
    "Precision",
    "Seen",
    "Speed",
    "Verdict",
    "Workload",
    "facts_of",
    "find_machine",
    "machines",
    "mistakes",
    "parse_images",
    "plan",
    "this_machine",
]
