"""The slow reference of the memory: one cell after the other in plain Python, to check the fast path against.

It shares no code with the fast path. Of its dataclasses it reads only the fields.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence

from spinbnn.golden.chip import Chip
from spinbnn.golden.geometry import Geometry
from spinbnn.golden.operating_point import OperatingPoint
from spinbnn.golden.reference import Sfc64

_KEY_CONSTANT = 0x9E3779B97F4A7C15


def keyed_generator(seed: int, key: int) -> Sfc64:
    """Return the generator of a seed and a key, after its 12 draws of warm-up."""
    generator = Sfc64((seed, key, _KEY_CONSTANT, 1))
    for _ in range(12):
        generator.next()
    return generator


def bernoulli(next_word: Callable[[], int], fractions: Sequence[int], planes: int) -> list[int]:
    """Return a random bit for each cell, 1 with its probability, given in units of 2**-planes.

    Draws a word a plane for each 64 cells or part of them.
    """
    slices = (len(fractions) + 63) // 64
    drawn = [0] * len(fractions)
    for plane in range(planes):
        words = [next_word() for _ in range(slices)]
        for cell, fraction in enumerate(fractions):
            random_bit = words[cell // 64] >> (cell % 64) & 1
            drawn[cell] = drawn[cell] | random_bit if fraction >> plane & 1 else drawn[cell] & random_bit
    return drawn


class HammingCode:
    """Extended Hamming code in its classical form: the numbers of the ones of a code word XOR to 0.

    Parameters
    ----------
    word_bits : int
        Data bits.
    """

    def __init__(self, word_bits: int) -> None:
        checks = next(r for r in range(1, 10) if 2**r >= word_bits + r + 1)
        data = [number for number in range(1, 600) if bin(number).count("1") > 1]
        # The number of each code bit: data, check bits, and 0 for the parity.
        self.numbers = data[:word_bits] + [2**bit for bit in range(checks)] + [0]
        self.word_bits = word_bits

    def encode(self, bits: list[int]) -> list[int]:
        """Return the code word of data bits."""
        total = self._sum(bits)
        code = bits + [1 if total & number else 0 for number in self.numbers[self.word_bits : -1]]
        return [*code, sum(code) % 2]

    def decode(self, code: list[int]) -> tuple[list[int], bool, bool]:
        """Return the data bits, whether an error was corrected, and whether there are errors beyond that."""
        total, odd = self._sum(code), sum(code) % 2 == 1
        data = code[: self.word_bits]
        if not odd:
            return data, False, total != 0
        if total not in self.numbers:
            return data, False, True
        wrong = self.numbers.index(total)
        return [bit ^ (k == wrong) for k, bit in enumerate(data)], True, False

    def _sum(self, bits: list[int]) -> int:
        total = 0
        for number, bit in zip(self.numbers, bits, strict=False):
            total ^= number * bit
        return total


class ReferenceMemory:
    """An array of MRAM rows.

    Parameters
    ----------
    geometry : Geometry
    random_state : four int
        State of the random stream.
    read_row_energy_aj : int
        Energy of reading a row, in attojoules.
    chip : Chip

    Attributes
    ----------
    cells : dict of (bank, row) to list of int
        What the cells hold; 0 at first.
    counters : list of dict of str to int
        By bank and name.
    """

    def __init__(
        self, geometry: Geometry, random_state: Sequence[int], read_row_energy_aj: int, chip: Chip
    ) -> None:
        self._geometry = geometry
        self._read_row_energy_aj = read_row_energy_aj
        self._chip = chip
        self._hamming = HammingCode(geometry.word_bits)
        self.rng = Sfc64(random_state)
        self.cells: dict[tuple[int, int], list[int]] = defaultdict(lambda: [0] * geometry.row_cells)
        self.counters: list[dict[str, int]] = [defaultdict(int) for _ in range(geometry.banks)]

    def program(self, bank: int, row: int, data: list[int], point: OperatingPoint) -> None:
        """Program a row with data bits."""
        counters, target = self.counters[bank], self._encode(data)
        cells = self.cells[bank, row]
        counters["row_programs"] += 1
        if not point.blind:
            self._count_read(bank, row)
        pulsed = [cell for cell in range(len(cells)) if cells[cell] != target[cell]]
        if point.blind or point.pulse_redundant:
            pulsed = list(range(len(cells)))
        self._pulse_until_right(bank, row, target, pulsed, point)

    def scrub(self, first_row: int, last_row: int, point: OperatingPoint) -> None:
        """Program what each row reads."""
        for row in range(first_row, last_row + 1):
            for bank in range(self._geometry.banks):
                data, uncorrectable = self._read(bank, row)
                if uncorrectable:
                    continue
                target, cells = self._encode(data), self.cells[bank, row]
                pulsed = [cell for cell in range(len(cells)) if cells[cell] != target[cell]]
                self.counters[bank]["scrubbed_rows"] += bool(pulsed)
                self._pulse_until_right(bank, row, target, pulsed, point)

    def age(self, first_row: int, last_row: int, point: OperatingPoint) -> None:
        """Flip cells with the point's probabilities."""
        for row in range(first_row, last_row + 1):
            for bank in range(self._geometry.banks):
                cells = self.cells[bank, row]
                for cell, flips in enumerate(self._drawn(bank, row, point)):
                    if flips and not self._stuck(bank, row)[cell]:
                        cells[cell] ^= 1
                        self.counters[bank]["aged_bits"] += 1

    def read(self, bank: int, row: int) -> list[int]:
        """Return what reading a row gives, and count it."""
        return self._read(bank, row)[0]

    def _read(self, bank: int, row: int) -> tuple[list[int], bool]:
        self._count_read(bank, row)
        counters, cells = self.counters[bank], self.cells[bank, row]
        code, uncorrectable = cells, False
        if self._geometry.memory.differential:
            half = len(cells) // 2
            code = []
            for bit, (true, complement) in enumerate(zip(cells[:half], cells[half:], strict=True)):
                code.append(true if true != complement else self._mismatch(bank, bit))
            counters["tied_reads"] += any(cells[bit] == cells[half + bit] for bit in range(half))
        if self._geometry.memory.secded:
            code, corrected, uncorrectable = self._hamming.decode(code)
            counters["corrected_reads"] += corrected
            counters["uncorrectable_reads"] += uncorrectable
        return code, uncorrectable

    def _count_read(self, bank: int, row: int) -> None:
        geometry, counters = self._geometry, self.counters[bank]
        counters["row_reads"] += 1
        counters["read_energy_aj"] += self._read_row_energy_aj
        if geometry.memory.read_groups:
            rows = 1
            while rows < geometry.rows:
                rows *= 2
            counters[f"group_reads_{row // max(1, rows // geometry.memory.read_groups)}"] += 1

    def _encode(self, data: list[int]) -> list[int]:
        code = self._hamming.encode(data) if self._geometry.memory.secded else list(data)
        return code + [1 - bit for bit in code] if self._geometry.memory.differential else code

    def _mismatch(self, bank: int, bit: int) -> int:
        generator = keyed_generator(self._chip.seed, 2**63 + bank)
        words = [generator.next() for _ in range(bit // 64 + 1)]
        return words[-1] >> (bit % 64) & 1

    def _classes(self, bank: int, row: int) -> list[int]:
        cells = self._geometry.row_cells
        if not self._geometry.memory.variability:
            return [0] * cells
        generator = keyed_generator(self._chip.seed, bank * 2**32 + row)
        chosen = [bernoulli(generator.next, [share] * cells, 16) for share in self._chip.class_shares]
        return [next((k for k in (1, 2, 3) if chosen[k - 1][cell]), 0) for cell in range(cells)]

    def _stuck(self, bank: int, row: int) -> list[bool]:
        stuck = self._chip.stuck if self._geometry.memory.variability else (False,) * 4
        return [stuck[number] for number in self._classes(bank, row)]

    def _drawn(self, bank: int, row: int, point: OperatingPoint) -> list[int]:
        """Draw which cells would fail to switch from what they hold."""
        weak_01 = point.class_p_fail_01 or (point.p_fail_01,) * 3
        weak_10 = point.class_p_fail_10 or (point.p_fail_10,) * 3
        p_01, p_10 = (point.p_fail_01, *weak_01), (point.p_fail_10, *weak_10)
        cells, classes = self.cells[bank, row], self._classes(bank, row)
        in_use = range(4) if self._geometry.memory.variability else range(1)
        stuck = self._geometry.memory.variability and any(self._chip.stuck)
        if not stuck and not any(p_01[number] or p_10[number] for number in in_use):
            return [0] * len(cells)
        fractions = [
            p_10[number] if cell else p_01[number] for cell, number in zip(cells, classes, strict=True)
        ]
        return bernoulli(self.rng.next, fractions, 32)

    def _pulse_until_right(
        self, bank: int, row: int, target: list[int], pulsed: list[int], point: OperatingPoint
    ) -> None:
        counters, cells = self.counters[bank], self.cells[bank, row]
        attempt = 0
        while pulsed:
            counters["pulses"] += 1
            counters["retries"] += attempt > 0
            self._pulse(bank, row, target, pulsed, point)
            if attempt == point.max_retries:
                break
            self._count_read(bank, row)
            pulsed = [cell for cell in range(len(cells)) if cells[cell] != target[cell]]
            attempt += 1
        counters["failed_bits"] += sum(cells[cell] != target[cell] for cell in range(len(cells)))

    def _pulse(
        self, bank: int, row: int, target: list[int], pulsed: list[int], point: OperatingPoint
    ) -> None:
        counters, cells = self.counters[bank], self.cells[bank, row]
        drawn, stuck = self._drawn(bank, row, point), self._stuck(bank, row)
        for cell in pulsed:
            if cells[cell] == target[cell]:
                counters["redundant_pulses"] += 1
                counters["program_energy_aj"] += point.energy_redundant_aj
                continue
            fails = bool(drawn[cell]) or stuck[cell]
            way = "01" if target[cell] else "10"
            energy_aj = point.energy_01_aj if target[cell] else point.energy_10_aj
            if fails and self._geometry.memory.self_terminated:
                counters[f"failed_pulses_{way}"] += 1
                failed_aj = point.energy_01_failed_aj if target[cell] else point.energy_10_failed_aj
                energy_aj = energy_aj if failed_aj is None else failed_aj
            counters[f"bits_{way}"] += 1
            counters["program_energy_aj"] += energy_aj
            if not fails:
                cells[cell] = target[cell]


def stored_activations(
    words: list[int],
    word_bits: int,
    lane: int,
    first_word: int,
    generators: int,
    seed: int,
    p: tuple[int, int],
) -> list[int]:
    """Return what an activation memory stores of words that one lane writes.

    Parameters
    ----------
    words : list of int
        What is meant to be stored, in the order of writing.
    word_bits : int
        W.
    lane : int
    first_word : int
        Words that the lane has drawn for before, in this run.
    generators : int
        Generators of a lane and slice.
    seed : int
    p : (int, int)
        Probability that a 0 is stored as 1, and a 1 as 0, in units of 2**-32.
    """
    slices = (word_bits + 63) // 64
    sources = [
        [keyed_generator(seed, (lane * slices + part) * generators + number) for number in range(generators)]
        for part in range(slices)
    ]
    stored = []
    for number in range(first_word + len(words)):
        planes = [[sources[part][plane % generators].next() for part in range(slices)] for plane in range(32)]
        if number < first_word:
            continue
        word, result = words[number - first_word], 0
        for bit in range(word_bits):
            meant, flip = word >> bit & 1, 0
            for plane in range(32):
                random_bit = planes[plane][bit // 64] >> (bit % 64) & 1
                flip = flip | random_bit if p[meant] >> plane & 1 else flip & random_bit
            result |= (meant ^ flip) << bit
        stored.append(result)
    return stored
