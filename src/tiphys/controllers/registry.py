"""The table of all declarative controllers. (Garbage collection has a graph of its own: `garbage/`.)"""

from __future__ import annotations

from tiphys.controllers import replicaset, replicationcontroller
from tiphys.controllers.config import ControllersConfig
from tiphys.controllers.controller import Controller
from tiphys.controllers.deployment import controller as deployment


def controllers(config: ControllersConfig) -> tuple[Controller, ...]:
    """Every controller that the configuration enables, ready to run."""
    table = (
        deployment.CONTROLLER,
        replicaset.CONTROLLER,
        replicationcontroller.CONTROLLER,
    )
    return tuple(controller for controller in table if config.enables(controller.name))
