"""Exported networks next to the models that they came from."""

from __future__ import annotations

from dataclasses import dataclass, replace

from spinbnn.golden.network import Network, classify, forward
from spinbnn.sim.datasets import Dataset
from spinbnn.sim.training.model import TrainedModel, export
from spinbnn.sim.training.torch_layers import classes, from_trained, import_torch


@dataclass(frozen=True)
class Verification:
    """An exported network next to the model it came from, on the same images.

    Attributes
    ----------
    images : int
        How many were compared.
    equal : int
        Images that both put into the same class.
    correct : int
        Images that the exported network puts into their true class.
    """

    images: int
    equal: int
    correct: int

    @property
    def accuracy(self) -> float:
        """The fraction of the images that is classified correctly."""
        return self.correct / self.images


def export_tested(model: TrainedModel, test: Dataset) -> tuple[Network, Verification]:
    """Export a model, verify it on the test images, and note the outcome in the network's metadata."""
    network = export(model)
    outcome = verify(model, network, test)
    noted = {"test_images": outcome.images, "test_correct": outcome.correct, "test_equal": outcome.equal}
    return replace(network, metadata=network.metadata | noted), outcome


def verify(model: TrainedModel, network: Network, data: Dataset) -> Verification:
    """Compare the classes that an exported network gives with those of the model, evaluated by PyTorch.

    PyTorch computes in float64 here: in float32 a normalised integer next to a step can round across it.

    Raises
    ------
    SpinbnnError
        If PyTorch is missing.
    DataError
        If the images do not fit the network.
    """
    torch = import_torch()
    architecture = model.recipe.architecture
    pixels = data.fitted(architecture).pixels
    pairs = zip(architecture.plan(), model.layers, strict=True)
    layers = [from_trained(torch, plan, layer) for plan, layer in pairs]
    expected = classes(torch, architecture, layers, pixels, torch.float64)
    got = classify(forward(network, pixels))
    return Verification(len(data), int((got == expected).sum()), int((got == data.labels).sum()))
