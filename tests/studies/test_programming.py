"""Networks that studies write: as the machine's model writes them, and as the Verilog does."""

from pathlib import Path

import numpy as np
import pytest

from spinbnn.golden.geometry import Geometry
from spinbnn.golden.layers import Conv
from spinbnn.golden.memory_options import MemoryOptions
from spinbnn.golden.network import random_network
from spinbnn.golden.network_file import load_network
from spinbnn.golden.operating_point import PROBABILITY_BITS, operating_point
from spinbnn.golden.placement import place
from spinbnn.golden.point_map import layer_range
from spinbnn.sim.assets import SHIPPED_NETWORKS
from spinbnn.sim.datasets import Dataset
from spinbnn.sim.model import MachineModel
from spinbnn.sim.spec import RunJob
from spinbnn.sim.studies.cells import number
from spinbnn.sim.studies.confirmation import confirm, confirmed_verdict
from spinbnn.sim.studies.evaluation import right_classes
from spinbnn.sim.studies.programming import (
    LADDER_V,
    TECHNOLOGY,
    as_stored,
    machine_for,
    program,
    pulse_point,
)
from spinbnn.sim.studies.study import StudyOptions

NETWORK = random_network((30, 20, 10), seed=3)


@pytest.mark.parametrize("memory", [MemoryOptions(), MemoryOptions(secded=True)], ids=["plain", "secded"])
def test_programming_is_what_the_model_of_the_machine_does(memory: MemoryOptions) -> None:
    geometry = machine_for(NETWORK, memory, banks=4)
    ranges = (layer_range(place(NETWORK, geometry), 1, operating_point(0.3)),)
    point = operating_point(0.05, max_retries=1)
    images = np.zeros((2, 30), dtype=np.uint8)
    job = RunJob(NETWORK, images, geometry, point, seed=5, ranges=ranges)
    model = MachineModel(job)
    outcome = model.run()
    written = program(NETWORK, geometry, point, seed=5, ranges=ranges)
    assert written.wrong_bits.tolist() == outcome.bits_wrong.tolist()
    assert written.wrong_bits.sum() > 0
    assert written.bank_energy_aj.tolist() == outcome.counters["program_energy_aj"].tolist()
    assert written.bits == 30 * 20 + 20 * 10
    wrong = sum(
        int(np.bitwise_count(is_.weights ^ should.weights).sum())
        for is_, should in zip(written.network.layers, NETWORK.layers, strict=True)
    )
    assert written.wrong_share == wrong / written.bits


def test_a_first_convolution_of_paired_planes_is_stored_twice() -> None:
    network = load_network(SHIPPED_NETWORKS["lenet4"])
    stored = as_stored(network)
    first, held = network.layers[0], stored.layers[0]
    assert isinstance(held, Conv)
    assert np.array_equal(held.weights, first.weights)
    assert np.array_equal(held.odd_plane_weights, first.weights)
    twice = program(network, machine_for(network), operating_point(0.0), seed=0)
    assert twice.bits == sum(layer.neurons * layer.sum_length for layer in network.layers) + 20 * 25


def test_the_ladders_voltages_have_the_error_rates_they_are_named_after() -> None:
    for rate in (1e-6, 1e-3, 0.1):
        point = pulse_point(TECHNOLOGY, LADDER_V[rate])
        assert point.p_fail_01 / 2**PROBABILITY_BITS == pytest.approx(rate, rel=0.02)


@pytest.mark.verilator
def test_the_verilog_confirms_and_a_difference_would_show(build_dir: Path) -> None:
    geometry = Geometry(banks=2, word_bits=8, rows=64, stream_bits=8)
    rng = np.random.default_rng(1)
    images = Dataset(rng.integers(0, 256, (3, 5, 6), dtype=np.uint8), rng.integers(0, 10, 3, dtype=np.uint8))
    options = StudyOptions(quick=True, data={}, folder=build_dir)
    point = operating_point(0.1)
    confirmed = confirm(NETWORK, images, geometry, point, options, seed=9)
    written = program(NETWORK, geometry, point, seed=9)
    assert confirmed.equal
    assert confirmed.wrong_bits == written.wrong_bits.sum() > 0
    assert confirmed.right == right_classes(written.network, images).sum()
    row = confirmed.to_row() | {
        "network": "random",
        "energy_aj": written.energy_aj,
        "wrong_bits": int(written.wrong_bits.sum()),
        "accuracy": confirmed.right / 3,
    }
    assert confirmed_verdict(row).agrees
    for name in ("energy_aj", "wrong_bits", "accuracy"):
        assert not confirmed_verdict(row | {name: number(row, name) + 1}).agrees
    assert not confirmed_verdict(row | {"rtl_equal": False}).agrees
