"""Energies between and beyond the tabulated write error rates."""

import pytest

from spinbnn.golden.technology import RELATIVE_WRITE_ENERGIES, WRITE_BIT_ENERGY_AJ, write_bit_energy_aj


@pytest.mark.parametrize(("rate", "ratio"), RELATIVE_WRITE_ENERGIES)
def test_tabulated_rates(rate: float, ratio: float) -> None:
    assert write_bit_energy_aj(rate) == round(WRITE_BIT_ENERGY_AJ * ratio)


@pytest.mark.parametrize(
    ("rate", "energy"), [(0.0, 4_500_000), (1e-9, 4_500_000), (0.5, 1_260_000), (1.0, 1_260_000)]
)
def test_rates_beyond_the_table(rate: float, energy: int) -> None:
    assert write_bit_energy_aj(rate) == energy


def test_half_a_decade_is_half_way() -> None:
    assert write_bit_energy_aj(10**-2.5) == round(4_500_000 * (0.53 + 0.40) / 2)
    assert write_bit_energy_aj(1e-5) == round(4_500_000 * (1.0 + 0.68) / 2)


def test_a_lower_rate_never_costs_less() -> None:
    energies = [write_bit_energy_aj(10 ** (-exponent / 20)) for exponent in range(160)]
    assert energies == sorted(energies)
