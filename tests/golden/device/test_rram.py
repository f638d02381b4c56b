"""RRAM: the published end points, the curve assumed between them, and cells of two devices."""

from dataclasses import replace
from math import sqrt

import numpy as np
import pytest

from spinbnn.golden.device.rram import (
    RramTechnology,
    bit_error_rate,
    compared_error_rate,
    device_error_rate,
    energy_for,
    operating_point_from_energy,
    pair_error_rate,
)
from spinbnn.golden.device.technology import load_technology
from spinbnn.golden.errors import TechnologyError


@pytest.fixture
def rram() -> RramTechnology:
    technology = load_technology("hfo2_rram")
    assert isinstance(technology, RramTechnology)
    return technology


def test_the_end_points_are_the_published_ones(rram: RramTechnology) -> None:
    assert device_error_rate(rram, rram.program_energy_aj) == pytest.approx(1e-4)
    assert device_error_rate(rram, rram.program_energy_aj / 30) == pytest.approx(4e-2)


def test_what_is_not_published_says_assumed(rram: RramTechnology) -> None:
    published = {name for name, source in rram.sources.items() if source.status == "published"}
    assert published == {"energy_ratio", "strong_bit_error_rate", "weak_bit_error_rate"}
    assert {source.status for source in rram.sources.values()} == {"published", "assumed"}


def test_half_way_in_log_energy_is_half_way_in_margin(rram: RramTechnology) -> None:
    # Q(3.7190) = 1e-4 and Q(1.7507) = 4e-2; Q(2.7349) = 3.120e-3.
    assert device_error_rate(rram, rram.program_energy_aj / sqrt(30)) == pytest.approx(3.120e-3, rel=1e-3)


def test_more_energy_never_errs_more(rram: RramTechnology) -> None:
    energies = np.geomspace(rram.weakest_energy_aj, rram.program_energy_aj, 50)
    for cell in ("1T1R", "2T2R"):
        rates = [bit_error_rate(replace(rram, cell=cell), energy) for energy in energies]
        assert rates == sorted(rates, reverse=True)


@pytest.mark.parametrize("cell", ["1T1R", "2T2R"])
def test_energy_for_a_rate_gives_that_rate(rram: RramTechnology, cell: str) -> None:
    technology = replace(rram, cell=cell)
    for share in (0.0, 0.3, 1.0):
        energy = rram.weakest_energy_aj * 30**share
        assert energy_for(technology, bit_error_rate(technology, energy)) == pytest.approx(energy, rel=1e-6)


def test_two_devices_compared(rram: RramTechnology) -> None:
    pair = replace(rram, cell="2T2R")
    # Q(5.2594) and Q(2.4758)
    assert bit_error_rate(pair, pair.program_energy_aj) == pytest.approx(7.22e-8, rel=5e-3)
    assert bit_error_rate(pair, pair.weakest_energy_aj) == pytest.approx(6.65e-3, rel=2e-3)
    assert (pair.devices, rram.devices) == (2, 1)


@pytest.mark.parametrize("rate", [1e-6, 1e-4, 1e-2, 0.2])
def test_a_comparison_lies_between_perfect_and_coin_ties(rate: float) -> None:
    assert pair_error_rate(rate, 0.0) == rate**2 < compared_error_rate(rate) < pair_error_rate(rate)
    assert pair_error_rate(rate) == pytest.approx(rate)
    assert pair_error_rate(rate, 1.0) == pytest.approx(1 - (1 - rate) ** 2)


@pytest.mark.parametrize(("cell", "rate", "energy"), [("1T1R", 3.120e-3, 1), ("2T2R", 5.498e-5, 2)])
def test_operating_point_of_an_energy(rram: RramTechnology, cell: str, rate: float, energy: int) -> None:
    half_way = rram.program_energy_aj / sqrt(30)
    point = operating_point_from_energy(
        replace(rram, cell=cell), half_way, max_retries=3, pulse_redundant=True
    )
    assert point.p_fail_01 == point.p_fail_10 == pytest.approx(rate * 2**32, rel=1e-3)
    assert point.energy_01_aj == point.energy_10_aj == point.energy_redundant_aj == round(energy * half_way)
    assert (point.pulse_clocks, point.max_retries, point.pulse_redundant) == (100, 3, True)


def test_certain_devices_make_certain_pairs() -> None:
    assert (compared_error_rate(0.0), compared_error_rate(1.0), compared_error_rate(0.5)) == (0, 1, 0.5)


def test_sampled_resistances_agree_with_both_cells() -> None:
    rng, n, margin = np.random.default_rng(3), 1_000_000, 1.5
    low, high = rng.normal([[-margin], [margin]], 1.0, (2, n))
    rate = compared_error_rate(np.mean(low > 0))
    assert (
        abs(np.mean(low > high) - rate) < 3.29 * sqrt(rate / n) + 0.02 * rate
    )  # 99.9 %, and of the argument


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (
            lambda rram: device_error_rate(rram, 1e6),
            "energy_aj must be from 3.33333e+06 to 1e+08, the end points known of hfo2_rram, not 1e+06",
        ),
        (
            lambda rram: bit_error_rate(rram, float("nan")),
            "energy_aj must be from 3.33333e+06 to 1e+08, the end points known of hfo2_rram, not nan",
        ),
        (
            lambda rram: energy_for(rram, 1e-5),
            "error_rate must be from 0.0001 to 0.04, the end points known of hfo2_rram, not 1e-05",
        ),
        (
            lambda rram: replace(rram, strong_bit_error_rate=0.05),
            "strong_bit_error_rate must be below weak_bit_error_rate, 0.04, not 0.05",
        ),
        (
            lambda rram: replace(rram, strong_bit_error_rate=0.04),
            "strong_bit_error_rate must be below weak_bit_error_rate, 0.04, not 0.04",
        ),
        (lambda rram: replace(rram, cell="3T3R"), "cell must be one of '1T1R', '2T2R', not '3T3R'"),
        (lambda rram: pair_error_rate(1.5), "rate must be a probability from 0 to 1, not 1.5"),
        (lambda rram: pair_error_rate(0.5, -1), "tie_error_rate must be a probability from 0 to 1, not -1"),
        (lambda rram: compared_error_rate(-1), "rate must be a probability from 0 to 1, not -1"),
    ],
)
def test_impossible_numbers_are_one_line(rram: RramTechnology, call, line: str) -> None:
    with pytest.raises(TechnologyError) as raised:
        call(rram)
    assert str(raised.value) == line
