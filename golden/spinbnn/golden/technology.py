"""Numbers of the MRAM technology, apart from the logic that uses them.

Status of a number: *survey* (published, taken from a survey's table), *computed* (by this project, as said)
or *assumed* (a choice of this project).

=========================  ============== ========  ========================================================
Name                       Value          Status    Source
=========================  ============== ========  ========================================================
`WRITE_BIT_ENERGY_AJ`      4.5 pJ a bit   survey    28 nm 1 Mb STT-MRAM macro, ISSCC 2018: 1.2 V, 20 ns
`READ_BIT_ENERGY_AJ`       0.7 pJ a bit   survey    the same macro: 2.8 ns, one cell a bit
`PULSE_CLOCKS`             2              assumed   20 ns at a clock of 100 MHz
`RELATIVE_WRITE_ENERGIES`  1 to 0.28      computed  the junction alone, V**2 * t / R: macrospin Fokker-Planck
                                                    equation, thermal stability 40, 10 ns pulse of varied
                                                    amplitude, rates from 1e-6 to 0.1
=========================  ============== ========  ========================================================

Assumed with them: the macro's energy scales as the junction's does, and its published energy is that of a
write error rate of 1e-6 (the macro reports 9e-6); a pulse costs the same in both directions. A junction takes
a third to a seventh of its macro's energy, so only ratios are taken from it.
"""

from math import log10

PICOJOULE_AJ = 10**6

WRITE_BIT_ENERGY_AJ = 45 * PICOJOULE_AJ // 10
READ_BIT_ENERGY_AJ = 7 * PICOJOULE_AJ // 10
PULSE_CLOCKS = 2

# (write error rate, energy of a pulse relative to one at a rate of 1e-6)
RELATIVE_WRITE_ENERGIES = ((1e-6, 1.0), (1e-4, 0.68), (1e-3, 0.53), (1e-2, 0.40), (1e-1, 0.28))


def write_bit_energy_aj(write_error_rate: float) -> int:
    """Return the energy of a one-bit write pulse at a write error rate, in attojoules.

    Interpolated linearly in the logarithm of the rate between the entries of `RELATIVE_WRITE_ENERGIES`; below
    the first and above the last the energy is that entry's (assumed).
    """
    rates, ratios = zip(*RELATIVE_WRITE_ENERGIES, strict=True)
    rate = min(max(write_error_rate, rates[0]), rates[-1])
    above = next(index for index in range(1, len(rates)) if rate <= rates[index])
    low, high = log10(rates[above - 1]), log10(rates[above])
    share = (log10(rate) - low) / (high - low)
    ratio = ratios[above - 1] + share * (ratios[above] - ratios[above - 1])
    return round(WRITE_BIT_ENERGY_AJ * ratio)
