"""Machines that are as large as a network needs."""

from collections.abc import Collection
from dataclasses import replace

from spinbnn.golden.geometry import BOUNDS, Geometry
from spinbnn.golden.layers import Affine, Conv
from spinbnn.golden.network import Network
from spinbnn.golden.placement import (
    Placement,
    accumulator_reaches,
    needs_integer_pools,
    output_words,
    place,
    signed_bits,
)


def fit(network: Network, geometry: Geometry, keep: Collection[str] = ()) -> Geometry:
    """Return a geometry whose sizes are raised, where they are too small, to what a network needs.

    Banks, bits of a word, lanes and the stream are never changed: they decide the speed.

    Parameters
    ----------
    network : Network
    geometry : Geometry
    keep : collection of str
        Fields that stay as they are.

    Raises
    ------
    CapacityError
        If no machine with those banks and words takes the network, or not with what `keep` names.
    """
    placement = place(network, _roomy(network, geometry, keep))
    raised = {
        name: need
        for name, need in _needs(network, placement).items()
        if name not in keep and need > getattr(geometry, name)
    }
    fitted = Geometry.from_dict(geometry.to_dict() | raised)
    if needs_integer_pools(network) and not fitted.integer_head and "integer_pools" not in keep:
        fitted = replace(fitted, integer_pools=True)
    place(network, fitted)  # the largest machine has integers to pool, this one may be kept from having them
    return fitted


def _roomy(network: Network, geometry: Geometry, keep: Collection[str]) -> Geometry:
    """Return the largest machine with the banks and words of a geometry."""
    sizes = {
        name: BOUNDS[name][1]
        for name in _SIZES
        if name not in keep and not (name == "image_elements" and not _unfolds(network, geometry))
    }
    if geometry.memory.activation_generators:
        del sizes["activation_bits"]
    pools = {} if "integer_pools" in keep else {"integer_pools": True}
    return Geometry.from_dict(geometry.to_dict() | sizes | pools)


_SIZES = (
    "rows",
    "accumulator_bits",
    "threshold_rows",
    "input_words",
    "activation_words",
    "layers",
    "outputs",
    "image_elements",
    "steps",
    "weight_planes",
    "activation_bits",
    "residual_rows",
)


def _unfolds(network: Network, geometry: Geometry) -> bool:
    return isinstance(network.layers[0], Conv) or geometry.image_elements > 0


def _needs(network: Network, placement: Placement) -> dict[str, int]:
    """Return what a placed network needs of each size."""
    placed, geometry = placement.layers, placement.geometry
    first, last = placed[0], placed[-1]
    hidden = list(zip(network.layers[:-1], placed, strict=False))
    pixels_kept = [
        layer.residual_destination + layer.sums // (layer.window[0] * layer.window[1]) * layer.groups
        for layer in placed
        if layer.residual_destination is not None
    ]
    return {
        "rows": last.row_base + last.rows,
        "accumulator_bits": signed_bits(max(accumulator_reaches(network, placement).values())),
        "threshold_rows": sum(
            each.groups * each.thresholds
            for layer, each in zip(network.layers, placed, strict=True)
            if not isinstance(layer.head, Affine)
        ),
        "input_words": first.words * first.planes * first.source[0] * first.source[1],
        "activation_words": max(
            (each.destination_base + output_words(layer, geometry) for layer, each in hidden), default=0
        ),
        "layers": len(placed),
        "outputs": network.outputs,
        "image_elements": network.inputs if _unfolds(network, geometry) else 0,
        "steps": len(placement.step_tables()[0]),
        "weight_planes": max(each.weight_planes for each in placed),
        "activation_bits": max(each.activation_bits for each in placed),
        "residual_rows": max(pixels_kept, default=0),
    }
