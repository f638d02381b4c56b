"""What training makes, and its export to a network on integers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from spinbnn.golden.architectures import LayerPlan, LayerShape, activation_range, build
from spinbnn.golden.errors import SpinbnnError
from spinbnn.golden.folding import fold_batch_norm
from spinbnn.golden.layers import Affine, MultiThreshold, Threshold
from spinbnn.golden.network import Network
from spinbnn.sim.training.recipes import Recipe

if TYPE_CHECKING:
    from spinbnn.sim.training.run import Status

EPSILON = 1e-5
"""What batch normalisation adds to a variance."""

_LARGEST_SCALE = 2**15 - 1
_LARGEST_LOGIT = 2**31 - 1


@dataclass(frozen=True)
class TrainedLayer:
    """One layer as trained: weights, and a batch normalisation.

    Attributes
    ----------
    weights : ndarray of int16, shape (neurons, K)
        Each +1 or -1, or odd with more bits, as `architectures.build` takes them.
    gamma, beta, mean, variance : ndarray of float32, shape (neurons,)
        The normalised integer is ``gamma * (integer - mean) / sqrt(variance + EPSILON) + beta``.
    """

    weights: NDArray[np.int16]
    gamma: NDArray[np.float32]
    beta: NDArray[np.float32]
    mean: NDArray[np.float32]
    variance: NDArray[np.float32]


@dataclass(frozen=True)
class TrainedModel:
    """What training made.

    Attributes
    ----------
    recipe : Recipe
        How it was made.
    layers : tuple of TrainedLayer
        An activation follows the normalisation of each but the last, whose normalised integers are logits.
    torch_version : str
        The release of PyTorch that made it.
    data_sha256 : str
        Hash of the training images and labels.
    history : tuple of Status
        One for each epoch.
    """

    recipe: Recipe
    layers: tuple[TrainedLayer, ...]
    torch_version: str
    data_sha256: str
    history: tuple[Status, ...]


def activation_levels(shape: LayerShape) -> list[float]:
    """Return what a normalised integer must reach for each step of the activation, from the lowest.

    A sign is a step at 0. Other activations count steps: halfway between ``k - 1`` and ``k`` of the largest
    activation, so that the normalised integers -1 to 1, or 0 to 1, are rounded to the activations.
    """
    low, high = activation_range(shape)
    if shape.activation_bits == 1 and shape.activation_signed:
        return [0.0]
    return [(step - 0.5) / high for step in range(low + 1, high + 1)]


def export(model: TrainedModel) -> Network:
    """Turn a trained model into a network on integers.

    Batch normalisation and activation become thresholds, exactly. The last normalisation, ``a * sum + b`` for
    each class, becomes an integer scale and bias with one common factor. Rounding them could change the order
    of two classes that are almost equal; `verify` tells whether it does for any image.
    """
    recipe = model.recipe
    plans = recipe.architecture.plan()
    hidden = [_thresholds(*pair) for pair in zip(plans[:-1], model.layers[:-1], strict=True)]
    return build(
        recipe.architecture,
        [layer.weights for layer in model.layers],
        [*hidden, _integer_logits(model.layers[-1], plans[-1].reach)],
        name=recipe.name,
        metadata={
            "recipe": recipe.to_dict(),
            "torch": model.torch_version,
            "training_data_sha256": model.data_sha256,
        },
    )


def _thresholds(plan: LayerPlan, layer: TrainedLayer) -> Threshold | MultiThreshold:
    """Return normalisation and activation as thresholds on the integers that can be reached."""
    reach = plan.reach
    steps = [
        fold_batch_norm(
            layer.gamma,
            layer.beta.astype(np.float64) - level,
            layer.mean,
            layer.variance,
            EPSILON,
            low=-reach,
            high=reach,
        )
        for level in activation_levels(plan.shape)
    ]
    if plan.shape.activation_bits == 1 and plan.shape.activation_signed:
        return steps[0]
    # Where gamma is negative, a higher level is reached at a lower integer.
    values = np.sort(np.stack([step.values for step in steps]), axis=0)
    low, _ = activation_range(plan.shape)
    return MultiThreshold(values, steps[0].flip, plan.shape.activation_bits, low)


def _integer_logits(layer: TrainedLayer, reach: int) -> Affine:
    """Return the last normalisation as integers, for integers of -reach to reach.

    Scales are as large as 16 bits hold, or less where a logit would leave 32 bits.
    """
    scale = layer.gamma / np.sqrt(layer.variance.astype(np.float64) + EPSILON)
    bias = layer.beta - layer.mean * scale
    if not scale.any():
        raise SpinbnnError(
            "the last normalisation must tell classes apart, but all its factors (gamma) are 0"
        )
    largest_logit = (np.abs(scale) * reach + np.abs(bias)).max()
    # Rounding adds up to half a unit to a scale and to a bias: at most reach + 1 to a logit.
    factor = min(_LARGEST_SCALE / np.abs(scale).max(), (_LARGEST_LOGIT - reach - 1) / largest_logit)
    return Affine(np.rint(scale * factor).astype(np.int32), np.rint(bias * factor).astype(np.int32))
