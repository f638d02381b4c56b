"""What is wrong with a model, said at once for all its nodes."""

from collections.abc import Sequence
from dataclasses import dataclass

from spinbnn.golden.errors import SpinbnnError


class ModelError(SpinbnnError):
    """A model that cannot be imported or exported."""


class Refused(Exception):  # noqa: N818 -- it never leaves the package
    """Raised by what looks at a node; becomes a `Problem` of that node.

    Parameters
    ----------
    why : str
    accepted : str
        What would be.
    """

    def __init__(self, why: str, accepted: str) -> None:
        super().__init__(why)
        self.why = why
        self.accepted = accepted


@dataclass(frozen=True)
class Problem:
    """Why a node cannot be imported.

    Parameters
    ----------
    node, operation : str
    why : str
    accepted : str
        What would be.
    """

    node: str
    operation: str
    why: str
    accepted: str


def model_error(model: str, problems: Sequence[Problem]) -> ModelError:
    """Return the error that lists all problems in one line."""
    count = "1 node is" if len(problems) == 1 else f"{len(problems)} nodes are"
    listed = "; ".join(
        f"[{number}] node '{problem.node}' ({problem.operation}): {problem.why}, accepted: {problem.accepted}"
        for number, problem in enumerate(problems, 1)
    )
    return ModelError(f"{model}: cannot be imported, {count} not supported: {listed}")
