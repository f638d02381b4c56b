"""A memory with options, cell by cell, as `docs/architecture.md` says: slow, plain, and code of its own."""

from dataclasses import dataclass

from spinbnn.golden.chip import Chip
from spinbnn.golden.geometry import Geometry
from spinbnn.golden.mram import counter_indices
from spinbnn.golden.operating_point import OperatingPoint
from spinbnn.golden.reference import Sfc64

Bits = list[int]


def to_bits(value: int, count: int) -> Bits:
    return [value >> index & 1 for index in range(count)]


def to_int(bits: Bits) -> int:
    return sum(bit << index for index, bit in enumerate(bits))


@dataclass(frozen=True)
class Read:
    """What a row reads as."""

    data: Bits
    corrected: bool = False
    uncorrectable: bool = False
    tied: bool = False


class CellCode:
    """The cells of a row, and what they read as."""

    def __init__(self, geometry: Geometry) -> None:
        self.width, self.options = geometry.word_bits, geometry.memory
        self.checks = next(r for r in range(1, 99) if 2**r >= self.width + r + 1)
        self.columns = [n for n in range(1, 4 * self.width + 4) if f"{n:b}".count("1") > 1][: self.width]
        self.code_bits = self.width + (self.checks + 1 if self.options.secded else 0)

    def check_bits(self, data: Bits) -> Bits:
        return [
            sum(bit for bit, column in zip(data, self.columns, strict=True) if column >> i & 1) % 2
            for i in range(self.checks)
        ]

    def encode(self, data: Bits) -> Bits:
        code = list(data)
        if self.options.secded:
            code += self.check_bits(data)
            code.append(sum(code) % 2)
        return code + [1 - bit for bit in code] if self.options.differential else code

    def read(self, cells: Bits, mismatch: Bits) -> Read:
        code, tied = list(cells), False
        if self.options.differential:
            n = self.code_bits
            ties = [cells[k] == cells[n + k] for k in range(n)]
            code, tied = [mismatch[k] if ties[k] else cells[k] for k in range(n)], any(ties)
        data = code[: self.width]
        if not self.options.secded:
            return Read(data, tied=tied)
        stored = code[self.width : self.width + self.checks]
        pairs = zip(self.check_bits(data), stored, strict=True)
        syndrome = to_int([computed ^ read for computed, read in pairs])
        odd = sum(code) % 2 == 1
        if not odd:
            return Read(data, uncorrectable=syndrome != 0, tied=tied)
        if syndrome == 0 or f"{syndrome:b}".count("1") == 1:
            return Read(data, corrected=True, tied=tied)
        if syndrome in self.columns:
            data[self.columns.index(syndrome)] ^= 1
            return Read(data, corrected=True, tied=tied)
        return Read(data, uncorrectable=True, tied=tied)


class MemoryModel:
    """Banks of rows of cells with all counters, and the clocks that the controller takes.

    The cells of a row are a list of 0 and 1; `rng` is the random stream.
    """

    def __init__(
        self, geometry: Geometry, rng: Sfc64, read_row_energy: int, chip: Chip, mismatch: list[Bits]
    ) -> None:
        self.geometry, self.options, self.code = geometry, geometry.memory, CellCode(geometry)
        self.rng, self.read_row_energy, self.chip, self.mismatch = rng, read_row_energy, chip, mismatch
        places = [(bank, row) for bank in range(geometry.banks) for row in range(geometry.rows)]
        self.cells = {place: [0] * geometry.row_cells for place in places}
        self.counters = [dict.fromkeys(counter_indices(geometry), 0) for _ in range(geometry.banks)]
        self.clocks = 0
        self.slices = (geometry.row_cells + 63) // 64

    @property
    def account_clocks(self) -> int:
        o = self.options
        extras = 4 * o.self_terminated + o.ageing + o.scrub + 2 * o.secded + o.differential
        return 13 + extras + (o.read_groups > 0)

    def count_reads(self, bank: int, row: int, reads: int) -> None:
        counters = self.counters[bank]
        counters["row_reads"] += reads
        counters["read_energy_aj"] += reads * self.read_row_energy
        if self.options.read_groups:
            bits, group_bits = (
                (self.geometry.rows - 1).bit_length(),
                self.options.read_groups.bit_length() - 1,
            )
            counters[f"group_reads_{row >> max(0, bits - group_bits)}"] += reads

    def draw_bits(self, rng: Sfc64, planes: int, fractions: list[int]) -> Bits:
        """Return a bit for each cell that is 1 with the cell's own probability."""
        bits = [0] * self.geometry.row_cells
        for plane in range(planes):
            for part in range(self.slices):
                word = rng.next()
                for cell in range(64 * part, min(64 * part + 64, len(bits))):
                    random_bit = word >> cell % 64 & 1
                    if fractions[cell] >> plane & 1:
                        bits[cell] |= random_bit
                    else:
                        bits[cell] &= random_bit
        return bits

    def classes(self, bank: int, row: int) -> Bits:
        rng = Sfc64([self.chip.seed, bank << 32 | row, 0x9E3779B97F4A7C15, 1])
        for _ in range(12):
            rng.next()
        found = [0] * self.geometry.row_cells
        for number, share in enumerate(self.chip.class_shares, start=1):
            chosen = self.draw_bits(rng, 16, [share] * len(found))
            found = [old or number * bit for old, bit in zip(found, chosen, strict=True)]
        return found

    def draws(self, point: OperatingPoint) -> bool:
        if not self.options.variability:
            return point.p_fail_01 > 0 or point.p_fail_10 > 0
        return any(p for both in point.by_class for p in both) or any(self.chip.stuck)

    def row_classes(self, bank: int, row: int, point: OperatingPoint) -> Bits:
        """Return the classes of a row that is about to draw for the first time; that takes clocks."""
        if not (self.draws(point) and self.options.variability):
            return [0] * self.geometry.row_cells
        self.clocks += 13 + 48 * self.slices
        return self.classes(bank, row)

    def failures(self, directions: Bits, classes: Bits, point: OperatingPoint) -> tuple[Bits, Bits]:
        """Draw once for all cells, with directions 1 from 0 to 1; return what was drawn, and stuck cells."""
        nothing = [0] * len(classes)
        if not self.draws(point):
            return nothing, nothing
        self.clocks += 32 * self.slices
        pairs = zip(classes, directions, strict=True)
        drawn = self.draw_bits(self.rng, 32, [point.by_class[number][1 - up] for number, up in pairs])
        if not self.options.variability:
            return drawn, nothing
        return drawn, [int(self.chip.stuck[number]) for number in classes]

    def pulse(self, bank: int, row: int, target: Bits, point: OperatingPoint, others: bool) -> int:
        """Do steps 2 to 6 of programming; return the pulses."""
        counters, cells = self.counters[bank], self.cells[bank, row]
        pulses = 0
        pulsed = [cell != wanted or others for cell, wanted in zip(cells, target, strict=True)]
        while any(pulsed):
            if pulses == 0:
                classes = self.row_classes(bank, row, point)
            pulses += 1
            self.clocks += point.pulse_clocks
            fail, stuck = self.failures(target, classes, point)
            for k in range(len(cells)):
                if not pulsed[k]:
                    continue
                if cells[k] == target[k]:
                    counters["redundant_pulses"] += 1
                    counters["program_energy_aj"] += point.energy_redundant_aj
                    continue
                direction = "01" if target[k] else "10"
                counters[f"bits_{direction}"] += 1
                energy = point.energy_01_aj if target[k] else point.energy_10_aj
                if fail[k] or stuck[k]:
                    if self.options.self_terminated:
                        counters[f"failed_pulses_{direction}"] += 1
                        energy = point.failed_energies_aj[1 - target[k]]
                else:
                    cells[k] = target[k]
                counters["program_energy_aj"] += energy
            if pulses > point.max_retries:
                break
            self.count_reads(bank, row, 1)
            self.clocks += 2
            pulsed = [cell != wanted for cell, wanted in zip(cells, target, strict=True)]
        counters["pulses"] += pulses
        counters["retries"] += max(0, pulses - 1)
        counters["failed_bits"] += sum(cell != wanted for cell, wanted in zip(cells, target, strict=True))
        return pulses

    def program(self, bank: int, row: int, target: int, point: OperatingPoint) -> None:
        self.clocks += 2 + self.account_clocks
        if not point.blind:
            self.count_reads(bank, row, 1)
        wanted = self.code.encode(to_bits(target, self.geometry.word_bits))
        self.pulse(bank, row, wanted, point, point.pulse_redundant or point.blind)
        self.counters[bank]["row_programs"] += 1

    def counted_read(self, bank: int, row: int) -> Read:
        read = self.code.read(self.cells[bank, row], self.mismatch[bank])
        self.count_reads(bank, row, 1)
        for name in ("corrected", "uncorrectable", "tied"):
            if getattr(read, name):
                self.counters[bank][f"{name}_reads"] += 1
        return read

    def read(self, bank: int, row: int) -> int:
        self.clocks += 2 + self.account_clocks
        return to_int(self.counted_read(bank, row).data)

    def age(self, first: int, last: int, point: OperatingPoint) -> None:
        for row in range(first, last + 1):
            for bank in range(self.geometry.banks):
                self.clocks += 2 + self.account_clocks
                if not self.draws(point):
                    continue
                self.clocks += 1
                cells = self.cells[bank, row]
                classes = self.row_classes(bank, row, point)
                flips, stuck = self.failures([1 - cell for cell in cells], classes, point)
                for k in range(len(cells)):
                    if flips[k] and not stuck[k]:
                        cells[k] ^= 1
                        self.counters[bank]["aged_bits"] += 1

    def scrub(self, first: int, last: int, point: OperatingPoint) -> None:
        for row in range(first, last + 1):
            for bank in range(self.geometry.banks):
                self.clocks += 3 + self.account_clocks
                read = self.counted_read(bank, row)
                if read.uncorrectable:
                    continue
                if self.pulse(bank, row, self.code.encode(read.data), point, others=False):
                    self.counters[bank]["scrubbed_rows"] += 1
