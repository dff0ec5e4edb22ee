"""Simulated Docker engines: one core, in process or behind the Docker Engine API, with faults on demand."""

from spinney.drivers.simulated.engine import Hooks, SimulatedEngine
from spinney.drivers.simulated.faults import Failure, Fault, FaultKind, FaultPlan, Operation, Rule, parse_faults
from spinney.drivers.simulated.host import SimulatedConnector, SimulatedHost
from spinney.drivers.simulated.images import Catalogue
from spinney.drivers.simulated.services import Service, Services
from spinney.drivers.simulated.values import EngineSettings

__all__ = [
    "Catalogue",
    "EngineSettings",
    "Failure",
    "Fault",
    "FaultKind",
    "FaultPlan",
    "Hooks",
    "Operation",
    "Rule",
    "Service",
    "Services",
    "SimulatedConnector",
    "SimulatedEngine",
    "SimulatedHost",
    "parse_faults",
]
