"""The studies by name, each imported only when it is asked for."""

from __future__ import annotations

import importlib
import importlib.util

from spinbnn.golden.errors import SweepError
from spinbnn.sim.studies.study import Study

STUDIES = {
    "weight-errors": "spinbnn.sim.studies.weight_errors",
    "training-for-errors": "spinbnn.sim.studies.training_for_errors",
    "training-in-memory": "spinbnn.sim.studies.training_in_memory",
    "activation-errors": "spinbnn.sim.studies.activation_errors",
    "differential": "spinbnn.sim.studies.differential",
    "stochastic-input": "spinbnn.sim.studies.stochastic_input",
    "operating-points": "spinbnn.sim.studies.operating_points",
    "random-weights": "spinbnn.sim.studies.random_weights",
}
"""The module of each study, which exports ``STUDY``."""


def study_names() -> list[str]:
    """Return the names of the studies that are installed."""
    return [name for name, module in STUDIES.items() if importlib.util.find_spec(module) is not None]


def load_study(name: str) -> Study:
    """Return a study.

    Raises
    ------
    SweepError
        If there is none of that name.
    """
    names = study_names()
    if name not in names:
        raise SweepError(f"the study must be one of {', '.join(names)}, not '{name}'")
    study: Study = importlib.import_module(STUDIES[name]).STUDY
    return study
