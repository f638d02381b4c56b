"""The size of a machine: what hardware, placement and cycle model share."""

from dataclasses import asdict, dataclass, fields
from types import MappingProxyType
from typing import Any, Self

from spinbnn.golden.encoding import slices_for
from spinbnn.golden.errors import GeometryError
from spinbnn.golden.memory_options import PLAIN, MemoryOptions, check_bits, check_known

# Inclusive bounds. A memory of one word would have an address of no bits, hence the twos; bases and counts in
# a descriptor have 16 bits, hence the 65535s. Elements of an image are counted in 24 bits.
BOUNDS = MappingProxyType(
    {
        "banks": (1, 256),
        "word_bits": (1, 256),
        "rows": (2, 2**24),
        "lanes": (1, 64),
        "accumulator_bits": (8, 31),
        "threshold_rows": (2, 65535),
        "input_words": (2, 2**24),
        "activation_words": (2, 65535),
        "layers": (2, 256),
        "outputs": (2, 65535),
        "image_elements": (0, 2**24),
        "steps": (2, 256),
        "weight_planes": (1, 9),
        "activation_bits": (1, 4),
        "residual_rows": (0, 2**24),
    }
)
_STREAM_BITS = (8, 16, 32, 64, 128, 256, 512)


@dataclass(frozen=True)
class Geometry:
    """The parameters of one machine.

    Parameters
    ----------
    banks : int
        B, MRAM banks; the neurons computed at once (1 to 256).
    word_bits : int
        W, bits of a row (1 to 256); a multiple of ``stream_bits // 8``.
    rows : int
        Rows of a bank (2 to 2**24).
    lanes : int
        P, images computed in lockstep (1 to 64).
    accumulator_bits : int
        Width of the signed accumulator (8 to 31).
    threshold_rows : int
        Neuron groups over all layers with thresholds (2 to 65535).
    input_words : int
        Words of one half of a lane's input buffer: planes times words of an image (2 to 2**24).
    activation_words : int
        Words of a lane's activation memory (2 to 65535).
    layers : int
        Layer descriptors (2 to 256).
    outputs : int
        Logits of an image (2 to 65535).
    stream_bits : int
        Width of the image stream, one unsigned byte an element (8, 16, 32, 64, 128, 256 or 512).
    image_elements : int
        Elements of an image that the loader can unfold into the windows of a first convolution (to 2**24);
        0 for a loader that only takes networks whose first layer is fully connected.
    steps : int
        Steps of all layers: how planes of inputs meet planes of weights; layers with the same ones share
        them (2 to 256).
    weight_planes : int
        Planes of a weight (1 to 9).
    activation_bits : int
        Bits of an activation (1 to 4).
    integer_pools : bool
        Whether integers are pooled behind a ReLU, and logits by max.
    residual_rows : int
        Integers of each neuron's bank that layers keep for later ones to add (to 2**24); 0 for none.
    memory : MemoryOptions
        Mechanisms of the memory that are built.

    Raises
    ------
    GeometryError
        If a field is not an integer in its range.
    """

    banks: int = 64
    word_bits: int = 64
    rows: int = 512
    lanes: int = 1
    accumulator_bits: int = 20
    threshold_rows: int = 64
    input_words: int = 128
    activation_words: int = 64
    layers: int = 8
    outputs: int = 64
    stream_bits: int = 64
    image_elements: int = 0
    steps: int = 16
    weight_planes: int = 1
    activation_bits: int = 1
    integer_pools: bool = False
    residual_rows: int = 0
    memory: MemoryOptions = PLAIN

    def __post_init__(self) -> None:
        if not isinstance(self.memory, MemoryOptions):
            raise GeometryError(f"memory must be MemoryOptions, not {self.memory!r}")
        if not isinstance(self.integer_pools, bool):
            raise GeometryError(f"integer_pools must be true or false, not {self.integer_pools!r}")
        for field in fields(self):
            if field.name in ("memory", "integer_pools"):
                continue
            value = getattr(self, field.name)
            if not isinstance(value, int) or isinstance(value, bool):
                raise GeometryError(f"{field.name} must be an integer, not {value!r}")
        for name, (low, high) in BOUNDS.items():
            if not low <= getattr(self, name) <= high:
                raise GeometryError(f"{name} must be {low} to {high}, not {getattr(self, name)}")
        if self.stream_bits not in _STREAM_BITS:
            widths = ", ".join(str(width) for width in _STREAM_BITS)
            raise GeometryError(f"stream_bits must be one of {widths}, not {self.stream_bits}")
        if self.word_bits % self.stream_elements:
            raise GeometryError(
                f"word_bits must be a multiple of the {self.stream_elements} elements a beat of "
                f"stream_bits {self.stream_bits} holds, not {self.word_bits}"
            )

        if self.activation_bits > 1 and self.memory.activation_generators:
            raise GeometryError(
                f"activation_bits must be 1 where activations are stored in MRAM, not {self.activation_bits}"
            )

    @property
    def integer_head(self) -> bool:
        """Whether neurons work on whole integers behind their sums, not only on the sign of a difference."""
        return self.activation_bits > 1 or self.integer_pools or self.residual_rows > 0

    @property
    def stream_elements(self) -> int:
        """Elements a beat of the image stream, one byte each."""
        return self.stream_bits // 8

    @property
    def slices(self) -> int:
        """L, 64-bit slices of a row."""
        return slices_for(self.word_bits)

    @property
    def code_bits(self) -> int:
        """Bits of a row with its check bits."""
        return self.word_bits + (check_bits(self.word_bits) + 1 if self.memory.secded else 0)

    @property
    def row_cells(self) -> int:
        """Memory cells of a row: two a code bit where cells are differential."""
        return self.code_bits * (2 if self.memory.differential else 1)

    @property
    def cell_slices(self) -> int:
        """Lc, 64-bit slices of a row's cells."""
        return slices_for(self.row_cells)

    @classmethod
    def from_preset(cls, name: str) -> "Geometry":
        """Return the preset called `name`.

        Raises
        ------
        GeometryError
            If there is no such preset.
        """
        if name not in PRESETS:
            raise GeometryError(f"geometry preset must be one of {', '.join(PRESETS)}, not {name!r}")
        return PRESETS[name]

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the geometry with these fields; those left out have their defaults.

        Raises
        ------
        GeometryError
            If `values` is not a mapping, a name is unknown or a value is impossible.
        """
        if not isinstance(values, dict):
            raise GeometryError(f"a geometry must be a mapping of fields, not {values!r}")
        check_known(values, [field.name for field in fields(cls)], "geometry field")
        memory = {"memory": MemoryOptions.from_dict(values["memory"])} if "memory" in values else {}
        return cls(**{**values, **memory})


# Named banks x word bits [x lanes]. Those marked "paper" hold the papers' 784-1024-1024-10 network with
# 8-bit pixels; the others hold only small networks, and are here because their sizes divide nothing.
PRESETS = MappingProxyType(
    {
        "64x64": Geometry(),  # paper
        "96x64": Geometry(banks=96),  # paper; more banks than bits in a word
        "16x32": Geometry(16, 32, rows=4096, threshold_rows=128, input_words=256),  # paper
        "4x128": Geometry(4, 128, rows=4096, threshold_rows=512),  # paper; rows of two slices
        "5x24": Geometry(5, 24, rows=256),  # nothing divides
        "3x100": Geometry(3, 100, rows=128, stream_bits=32),  # two slices, the second partly used
        "8x16x3": Geometry(8, 16, rows=256, lanes=3),
        "4x8x3": Geometry(4, 8, rows=256, lanes=3, stream_bits=16),
        "64x64-conv": Geometry(  # the convolutional networks for 32 x 32 x 3 images
            rows=4096,
            input_words=8192,
            activation_words=8192,
            threshold_rows=256,
            layers=16,
            image_elements=3072,
        ),
    }
)
