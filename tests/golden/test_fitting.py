"""Machines raised to a network: large enough, no larger than that, and otherwise as they were."""

import re
from dataclasses import replace
from functools import cache

import pytest
from hypothesis import given

from spinbnn.golden.architectures import ARCHITECTURES, build_random
from spinbnn.golden.errors import CapacityError
from spinbnn.golden.fitting import fit
from spinbnn.golden.geometry import BOUNDS, PRESETS, Geometry
from spinbnn.golden.memory_options import MemoryOptions
from spinbnn.golden.network import Network, random_network
from spinbnn.golden.placement import place
from tests.networks import Recipe, build, recipes

SPEED = {"banks", "word_bits", "lanes", "stream_bits", "memory"}
SIZES = [name for name in BOUNDS if name not in SPEED]
NO_MACHINE = "machines (then )?(do not|add no|pad)|must have weight_shifts from 0 on"
"""Of the errors that no size cures."""
SMALLEST = Geometry(**{name: BOUNDS[name][0] for name in SIZES})
"""A machine with the default's speed on which every size is the least there is."""


@cache
def preset(name: str) -> Network:
    return build_random(ARCHITECTURES[name], seed=1)


def raised(geometry: Geometry, before: Geometry) -> dict[str, int]:
    was = before.to_dict()
    return {name: value for name, value in geometry.to_dict().items() if value != was[name]}


def assert_minimal(network: Network, before: Geometry, fitted: Geometry) -> None:
    """See that the network fits, and that no size that was raised can be one less."""
    place(network, fitted)
    for name, value in raised(fitted, before).items():
        assert name not in SPEED
        assert value > getattr(before, name)
        with pytest.raises(CapacityError):
            place(network, replace(fitted, **{name: False if name == "integer_pools" else value - 1}))


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("before", [Geometry(), SMALLEST, PRESETS["5x24"]], ids=["default", "least", "5x24"])
def test_presets_fit_into_no_more_than_they_need(name: str, before: Geometry) -> None:
    fitted = fit(preset(name), before)
    assert_minimal(preset(name), before, fitted)
    assert fit(preset(name), fitted) == fitted


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mlp-1024", {}),
        ("lfc", {"rows": 736}),
        ("cnv", {"input_words": 3600, "activation_words": 1096, "layers": 9, "image_elements": 3072}),
        (
            "xnor-alexnet",
            {
                "rows": 22556, "accumulator_bits": 26, "threshold_rows": 150, "input_words": 145200,
                "activation_words": 2472, "outputs": 1000, "image_elements": 150528, "steps": 73,
                "weight_planes": 8,
            },
        ),
    ],
)  # fmt: skip
def test_what_presets_raise_of_the_default(name: str, expected: dict[str, int]) -> None:
    assert raised(fit(preset(name), Geometry()), Geometry()) == expected


@pytest.mark.parametrize("name", ["cnv", "bnn-cifar10"])
def test_the_machine_for_convolutional_networks_is_large_enough(name: str) -> None:
    assert fit(preset(name), PRESETS["64x64-conv"]) == PRESETS["64x64-conv"]


@given(recipe=recipes())
def test_random_networks_fit_into_no_more_than_they_need(recipe: Recipe) -> None:
    network = build(recipe)
    before = replace(SMALLEST, banks=5, word_bits=24, stream_bits=16)
    try:
        fitted = fit(network, before)
    except CapacityError as error:
        obstacle = str(error)
    else:
        assert_minimal(network, before, fitted)
        return
    assert re.search(NO_MACHINE, obstacle)


def test_larger_machines_stay_as_they_are() -> None:
    before = replace(PRESETS["16x32"], memory=MemoryOptions(secded=True), image_elements=5000, lanes=2)
    assert fit(random_network((37, 11, 10)), before) == before


def test_speed_and_memory_are_never_changed() -> None:
    before = Geometry(7, 16, rows=2, lanes=3, stream_bits=16, memory=MemoryOptions(variability=True))
    fitted = fit(preset("tfc"), before)
    assert {name: getattr(fitted, name) for name in SPEED} == {name: getattr(before, name) for name in SPEED}
    assert fitted.rows > 2


def test_fields_to_keep_are_kept_and_said_to_be_too_small() -> None:
    network = random_network((37, 900, 10))
    before = replace(PRESETS["5x24"], threshold_rows=8)
    assert raised(fit(network, before), before) == {"rows": 436, "threshold_rows": 180}
    message = "needs rows up to 360, the geometry has 256 a bank: raise rows to at least 436"
    with pytest.raises(CapacityError, match=message):
        fit(network, before, keep={"rows"})
    kept = fit(network, replace(before, rows=500), keep={"rows"})
    assert kept.rows == 500


def test_integer_pools_are_built_where_needed_and_not_kept_off() -> None:
    assert fit(preset("nin"), Geometry()).integer_pools
    assert not fit(preset("cnv-w1a2"), Geometry()).integer_pools
    with pytest.raises(CapacityError, match="build the geometry with integer_pools"):
        fit(preset("nin"), Geometry(), keep={"integer_pools"})
    # Activations of several bits bring the integers along.
    assert not fit(preset("nin"), Geometry(activation_bits=2)).integer_pools


def test_networks_of_dense_layers_need_no_loader_that_unfolds() -> None:
    network = preset("mlp-1024")
    assert fit(network, Geometry()).image_elements == 0
    assert fit(network, Geometry(image_elements=100)).image_elements == 784


def test_activations_in_memory_have_one_bit() -> None:
    before = Geometry(memory=MemoryOptions(activation_generators=1))
    assert fit(preset("cnv"), before).activation_bits == 1
    with pytest.raises(CapacityError, match="layer 'conv0' needs activation_bits 2, the geometry has 1"):
        fit(preset("cnv-w1a2"), before)


def test_what_no_machine_holds_is_said() -> None:
    message = "layer 'layer0' needs threshold_rows up to 65536, the geometry has 65535"
    with pytest.raises(CapacityError, match=message):
        fit(random_network((1, 65536, 10)), Geometry(banks=1, word_bits=8))
