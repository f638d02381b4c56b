"""The bounds of a machine, and the texts that name them."""

import re
from typing import Any

import pytest

from spinbnn.golden.errors import GeometryError
from spinbnn.golden.geometry import PRESETS, Geometry
from spinbnn.golden.memory_options import PLAIN, MemoryOptions

OPTIONS = list(PLAIN.to_dict())

BOUNDS = {
    "banks": (1, 256),
    "word_bits": (8, 256),  # with the default stream of 8 elements a beat
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


def rejects(text: str, **fields: Any) -> None:
    with pytest.raises(GeometryError, match=f"^{re.escape(text)}$"):
        Geometry(**fields)


@pytest.mark.parametrize(("name", "low", "high"), [(name, *bounds) for name, bounds in BOUNDS.items()])
def test_bounds_are_inclusive(name: str, low: int, high: int) -> None:
    assert getattr(Geometry(**{name: low}), name) == low
    assert getattr(Geometry(**{name: high}), name) == high
    shown = "1 to 256" if name == "word_bits" else f"{low} to {high}"
    rejects(f"{name} must be {shown}, not {high + 1}", **{name: high + 1})
    below = min(low, 1) - 1
    rejects(f"{name} must be {shown}, not {below}", **{name: below})


@pytest.mark.parametrize(
    "name", [name for name in Geometry().to_dict() if name not in ("memory", "integer_pools")]
)
@pytest.mark.parametrize("value", [64.0, "64", True, None])
def test_fields_are_integers(name: str, value: object) -> None:
    rejects(f"{name} must be an integer, not {value!r}", **{name: value})


@pytest.mark.parametrize("value", [1, "yes", None])
def test_integer_pools_is_a_truth_value(value: Any) -> None:
    rejects(f"integer_pools must be true or false, not {value!r}", integer_pools=value)


def test_activations_in_mram_have_one_bit() -> None:
    memory = MemoryOptions(activation_generators=4)
    assert Geometry(memory=memory, integer_pools=True).activation_bits == 1
    rejects(
        "activation_bits must be 1 where activations are stored in MRAM, not 2",
        memory=memory,
        activation_bits=2,
    )


@pytest.mark.parametrize(
    ("fields", "head"),
    [
        ({}, False),
        ({"weight_planes": 9, "image_elements": 5}, False),
        ({"activation_bits": 2}, True),
        ({"integer_pools": True}, True),
        ({"residual_rows": 1}, True),
    ],
)
def test_which_machines_have_integer_heads(fields: dict[str, Any], head: bool) -> None:
    assert Geometry(**fields).integer_head is head


def test_every_field_has_its_bounds_tested() -> None:
    others = {"memory", "integer_pools", "stream_bits"}
    assert set(BOUNDS) == set(Geometry().to_dict()) - others


def test_stream_width_is_a_power_of_two_of_bytes() -> None:
    rejects("stream_bits must be one of 8, 16, 32, 64, 128, 256, 512, not 24", stream_bits=24)


def test_words_take_whole_beats() -> None:
    assert Geometry(word_bits=100, stream_bits=32).stream_elements == 4
    rejects(
        "word_bits must be a multiple of the 8 elements a beat of stream_bits 64 holds, not 100",
        word_bits=100,
        stream_bits=64,
    )


@pytest.mark.parametrize(("word_bits", "slices"), [(8, 1), (64, 1), (72, 2), (256, 4)])
def test_slices_of_a_row(word_bits: int, slices: int) -> None:
    assert Geometry(word_bits=word_bits).slices == slices


@pytest.mark.parametrize("name", list(PRESETS))
def test_preset_is_named_by_its_banks_word_and_lanes(name: str) -> None:
    geometry = Geometry.from_preset(name)
    numbers = [int(number) for number in name.removesuffix("-conv").split("x")]
    assert [geometry.banks, geometry.word_bits, geometry.lanes] == (
        numbers if len(numbers) == 3 else [*numbers, 1]
    )


def test_presets_that_unfold_images_say_so() -> None:
    unfolding = [name for name, geometry in PRESETS.items() if geometry.image_elements]
    assert unfolding == [name for name in PRESETS if name.endswith("-conv")] != []


def test_default_preset_is_the_default_geometry() -> None:
    assert Geometry.from_preset("64x64") == Geometry()


def test_unknown_preset() -> None:
    text = f"geometry preset must be one of {', '.join(PRESETS)}, not '7x7'"
    with pytest.raises(GeometryError, match=f"^{re.escape(text)}$"):
        Geometry.from_preset("7x7")


@pytest.mark.parametrize(
    ("word_bits", "options", "code_bits", "row_cells", "cell_slices"),
    [
        (64, {}, 64, 64, 1),
        (64, {"secded": True}, 72, 72, 2),
        (64, {"differential": True}, 64, 128, 2),
        (64, {"secded": True, "differential": True}, 72, 144, 3),
        (24, {"secded": True}, 30, 30, 1),
        (57, {"secded": True}, 64, 64, 1),  # 6 check bits correct up to 57 data bits
        (58, {"secded": True}, 66, 66, 2),
        (256, {"secded": True, "differential": True}, 266, 532, 9),
    ],
)
def test_cells_of_a_row(
    word_bits: int, options: dict[str, bool], code_bits: int, row_cells: int, cell_slices: int
) -> None:
    geometry = Geometry(word_bits=word_bits, stream_bits=8, memory=MemoryOptions(**options))
    assert (geometry.code_bits, geometry.row_cells, geometry.cell_slices) == (
        code_bits,
        row_cells,
        cell_slices,
    )


def test_options_are_parsed_as_they_are_shown() -> None:
    memory = MemoryOptions(secded=True, scrub=True, read_groups=4)
    assert memory.built == ("secded", "scrub", "read_groups=4")
    assert MemoryOptions.parse(memory.built) == memory
    assert MemoryOptions.parse([]) == PLAIN


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("ecc", f"memory option must be one of {', '.join(OPTIONS)}, not 'ecc'"),
        ("secded=1", "secded must be true or false, not 1"),
        ("read_groups", "read_groups must be one of 0, 2, 4, 8, 16, not True"),
        ("read_groups=x", "read_groups must be one of 0, 2, 4, 8, 16, not 'x'"),
    ],
)
def test_bad_option_texts(text: str, error: str) -> None:
    with pytest.raises(GeometryError, match=f"^{re.escape(error)}$"):
        MemoryOptions.parse([text])


def test_memory_is_options() -> None:
    rejects("memory must be MemoryOptions, not {'secded': True}", memory={"secded": True})


def test_dict_round_trip() -> None:
    memory = MemoryOptions(secded=True, read_groups=4)
    geometry = Geometry(banks=5, word_bits=24, rows=100, lanes=3, memory=memory)
    assert Geometry.from_dict(geometry.to_dict()) == geometry
    assert Geometry.from_dict({"banks": 5}) == Geometry(banks=5)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([1, 2], "a geometry must be a mapping of fields, not [1, 2]"),
        ({"bank": 5}, f"geometry field must be one of {', '.join(Geometry().to_dict())}, not 'bank'"),
        ({"banks": "5"}, "banks must be an integer, not '5'"),
        ({"memory": ["secded"]}, "memory must be a mapping of options, not ['secded']"),
        ({"memory": {"ecc": True}}, f"memory option must be one of {', '.join(OPTIONS)}, not 'ecc'"),
        ({"memory": {"secded": 1}}, "secded must be true or false, not 1"),
        ({"memory": {"read_groups": 3}}, "read_groups must be one of 0, 2, 4, 8, 16, not 3"),
        (
            {"memory": {"activation_generators": True}},
            "activation_generators must be one of 0, 1, 2, 4, 8, 16, 32, not True",
        ),
    ],
)
def test_bad_dicts(values: Any, text: str) -> None:
    with pytest.raises(GeometryError, match=f"^{re.escape(text)}$"):
        Geometry.from_dict(values)
