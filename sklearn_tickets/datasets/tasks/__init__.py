"""Tasks for `PlantedTicketGenerator`, each with a small network that solves it.

Each is a `PlantingTask`, the interface of a task of your own. `TASKS` has the tasks of the paper;
`linear`, `feed_forward`, `live_part` and `deepened` build and evaluate networks by hand, and
`check_task` checks a task.
"""

from sklearn_tickets.datasets.tasks._boundary import BoundaryTask
from sklearn_tickets.datasets.tasks._check_task import check_task
from sklearn_tickets.datasets.tasks._circle import CircleTask
from sklearn_tickets.datasets.tasks._constructions import (
    Affine,
    deepened,
    feed_forward,
    linear,
    live_part,
)
from sklearn_tickets.datasets.tasks._function import FunctionTask
from sklearn_tickets.datasets.tasks._helix import HelixTask
from sklearn_tickets.datasets.tasks._noise_features import WithNoiseFeatures
from sklearn_tickets.datasets.tasks._parity import ParityTask
from sklearn_tickets.datasets.tasks._relu import ReluTask
from sklearn_tickets.datasets.tasks._spiral import SpiralTask
from sklearn_tickets.datasets.tasks._task import PlantingTask

__all__ = [
    "TASKS",
    "Affine",
    "BoundaryTask",
    "CircleTask",
    "FunctionTask",
    "HelixTask",
    "ParityTask",
    "PlantingTask",
    "ReluTask",
    "SpiralTask",
    "WithNoiseFeatures",
    "check_task",
    "deepened",
    "feed_forward",
    "linear",
    "live_part",
]

# The tasks of the paper, by name.
TASKS: dict[str, PlantingTask] = {
    task.name: task for task in (ReluTask(), CircleTask(), HelixTask())
}
