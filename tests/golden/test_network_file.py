"""Network files: the same network comes back, or one line says what is wrong."""

import io
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spinbnn.golden.encoding import pack
from spinbnn.golden.errors import NetworkFileError
from spinbnn.golden.layers import Affine, Conv, Dense, MultiThreshold, Pool, Threshold
from spinbnn.golden.network import Network, random_network
from spinbnn.golden.network_file import SCHEMA_VERSION, load_network, save_network

NETWORK = random_network([70, 9, 5, 3], input_bits=4, seed=1)


def convolutional() -> Network:
    """Return a network in which no field of a layer is its default."""
    random = np.random.default_rng(6)
    wide = Conv(
        "wide",
        pack(random.integers(0, 2, (3, 5, 90))),
        (6, 7, 15),
        (2, 3),
        MultiThreshold(np.sort(random.integers(-9, 9, (5, 5)), axis=0), random.random(5) < 0.5, 4, -3),
        stride=(1, 2),
        padding=(1, 0, 2, 3),
        pool=Pool("or", (2, 2), (3, 1)),
        weight_shifts=(0, 0, 2),
        relu=True,
    )
    unsigned = MultiThreshold(np.array([[0] * 5]), np.array([False] * 5), 1, 0)
    deep = Conv(
        "deep", pack(random.integers(0, 2, (5, 5))), wide.output_shape, (1, 1), unsigned, pool=wide.pool
    )
    flat = Dense("flat", pack(random.integers(0, 2, (2, 4, deep.outputs))), deep.outputs,
                 Threshold(np.arange(4), random.random(4) < 0.5), (1, 3), relu=True)  # fmt: skip
    again = Conv("again", pack(random.integers(0, 2, (4, 36))), (1, 1, 4), (3, 3), flat.head,
                 padding=(1, 1, 1, 1), pad_value=-1, residual="flat")  # fmt: skip
    last = Dense("last", pack(random.integers(0, 2, (2, 4))), 4, Affine(np.array([3, -4]), np.array([5, 6])))
    return Network("convolutional", (wide, deep, flat, again, last), 2, False, {})


CONVOLUTIONAL = convolutional()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "network.npz"
    save_network(NETWORK, path)
    return path


def rejects(path: Path, text: str) -> None:
    with pytest.raises(NetworkFileError) as caught:
        load_network(path)
    assert str(caught.value) == f"{path}: {text}"


def arrays_of(path: Path) -> dict[str, Any]:
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


def rewrite(path: Path, **changes: Any) -> None:
    """Change members of a file, with NumPy's own writer; None leaves one out."""
    arrays = {**arrays_of(path), **{name.replace("__", "."): value for name, value in changes.items()}}
    np.savez(path, **{name: value for name, value in arrays.items() if value is not None})


def rewrite_header(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    header = json.loads(arrays_of(path)["header"].tobytes())
    change(header)
    rewrite(path, header=np.frombuffer(json.dumps(header).encode(), dtype=np.uint8))


@pytest.mark.parametrize(
    "network",
    [
        NETWORK,
        CONVOLUTIONAL,
        random_network([784, 100, 10], seed=2),
        random_network([1, 1], 1, True),
        Network(
            "Gewölbe", random_network([9, 2]).layers, 8, False, {"b": [1, 2.5, None, "ß\ud800"], "a": {}}
        ),
    ],
)
def test_round_trip(tmp_path: Path, network: Network) -> None:
    save_network(network, tmp_path / "n.npz")
    assert load_network(str(tmp_path / "n.npz")) == network


def test_bytes_depend_on_the_network_alone(
    tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.localtime", lambda *_: (2040, 1, 2, 3, 4, 5, 0, 0, 0))
    reordered = Network(NETWORK.name, NETWORK.layers, 4, False, {"z": 1, "a": 2})
    ordered = Network(NETWORK.name, NETWORK.layers, 4, False, {"a": 2, "z": 1})
    save_network(NETWORK, tmp_path / "again.npz")
    assert (tmp_path / "again.npz").read_bytes() == path.read_bytes()
    save_network(reordered, tmp_path / "reordered.npz")
    save_network(ordered, tmp_path / "ordered.npz")
    assert (tmp_path / "reordered.npz").read_bytes() == (tmp_path / "ordered.npz").read_bytes()


PLAIN = {"kind": "dense", "weight_shifts": [0], "relu": False, "residual": None}


def test_numpy_reads_the_members(path: Path) -> None:
    arrays = arrays_of(path)
    assert list(arrays) == [
        "header",
        *("layer0.weights", "layer0.threshold", "layer0.flip"),
        *("layer1.weights", "layer1.threshold", "layer1.flip"),
        *("layer2.weights", "layer2.scale", "layer2.bias"),
    ]
    header = json.loads(arrays["header"].tobytes().decode())
    assert header == {
        "schema_version": SCHEMA_VERSION,
        "name": "random-70-9-5-3",
        "input_bits": 4,
        "input_signed": False,
        "metadata": {"seed": 1},
        "layers": [
            {**PLAIN, "name": "layer0", "inputs": 70, "neurons": 9, "head": {"kind": "threshold"}},
            {**PLAIN, "name": "layer1", "inputs": 9, "neurons": 5, "head": {"kind": "threshold"}},
            {**PLAIN, "name": "layer2", "inputs": 5, "neurons": 3, "head": {"kind": "affine"}},
        ],
    }
    assert np.array_equal(arrays["layer0.weights"], NETWORK.layers[0].weights)


def test_fields_of_a_convolution(tmp_path: Path) -> None:
    save_network(CONVOLUTIONAL, tmp_path / "n.npz")
    arrays = arrays_of(tmp_path / "n.npz")
    wide, _, flat, again, _ = json.loads(arrays["header"].tobytes())["layers"]
    assert wide == {
        "kind": "conv",
        "name": "wide",
        "neurons": 5,
        "input_shape": [6, 7, 15],
        "kernel": [2, 3],
        "stride": [1, 2],
        "padding": [1, 0, 2, 3],
        "pad_value": 0,
        "pool": {"kind": "or", "size": [2, 2], "stride": [3, 1]},
        "head": {"kind": "multi_threshold", "bits": 4, "low": -3},
        "weight_shifts": [0, 0, 2],
        "relu": True,
        "residual": None,
    }
    assert flat["weight_shifts"] == [1, 3]
    assert (again["pool"], again["pad_value"], again["residual"]) == (None, -1, "flat")
    assert arrays["layer0.weights"].shape == (3, 5, 2)
    assert arrays["layer0.threshold"].shape == (5, 5)
    assert arrays["layer1.threshold"].shape == (1, 5)


def to_version_1(header: dict[str, Any]) -> None:
    header["schema_version"] = 1
    header["layers"] = [
        {
            "name": layer["name"],
            "inputs": layer["inputs"],
            "outputs": layer["neurons"],
            "head": layer["head"]["kind"],
        }
        for layer in header["layers"]
    ]


def test_files_of_version_1_are_read(path: Path) -> None:
    rewrite_header(path, to_version_1)
    assert load_network(path) == NETWORK


VERSION_1_HEADERS: list[tuple[Callable[[dict[str, Any]], object], str]] = [
    (
        lambda header: header["layers"][1].pop("outputs"),
        "header of layer 1 lacks 'outputs', expected head, inputs, name, outputs",
    ),
    (
        lambda header: header["layers"][1].update(relu=False),
        "header of layer 1 has an unknown 'relu', expected head, inputs, name, outputs",
    ),
    (
        lambda header: header["layers"][1].update(head="conv"),
        'header of layer 1: head has kind "conv", expected "threshold", "multi_threshold" or "affine"',
    ),
    (lambda header: header.update(layers=[7]), "header of layer 0 is 7, expected a JSON object"),
]


@pytest.mark.parametrize(("change", "text"), VERSION_1_HEADERS)
def test_wrong_headers_of_version_1(
    path: Path, change: Callable[[dict[str, Any]], object], text: str
) -> None:
    rewrite_header(path, to_version_1)
    rewrite_header(path, change)
    rejects(path, text)


def test_what_numpy_writes_is_read(path: Path) -> None:
    rewrite(path)
    assert load_network(path) == NETWORK


def test_large_random_file_is_packed(tmp_path: Path) -> None:
    save_network(random_network([784, 1024, 1024, 10]), tmp_path / "n.npz")
    assert (tmp_path / "n.npz").stat().st_size < 245_000


def test_missing_file(tmp_path: Path) -> None:
    rejects(tmp_path / "no.npz", "cannot be read (No such file or directory), expected a network file")


def test_folder_instead_of_a_file(tmp_path: Path) -> None:
    rejects(tmp_path, "cannot be read (Is a directory), expected a network file")


def test_not_a_zip(path: Path) -> None:
    path.write_bytes(b"weights")
    rejects(path, "damaged (File is not a zip file), expected a whole .npz archive")


def test_truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])
    rejects(path, "damaged (File is not a zip file), expected a whole .npz archive")


def test_damaged_member(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[data.index(b"layer0.flip.npy") + 40] ^= 1
    path.write_bytes(data)
    with pytest.raises(NetworkFileError, match=r": damaged \(.+\), expected a whole \.npz archive$"):
        load_network(path)


def test_empty_archive(path: Path) -> None:
    zipfile.ZipFile(path, "w").close()
    rejects(path, "member 'header' is missing, expected uint8 of shape (n)")


def test_member_that_is_no_array(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("header.npy", b"{}")
    with pytest.raises(NetworkFileError, match=r": damaged \(.+\), expected a whole \.npz archive$"):
        load_network(path)


def test_member_that_is_there_twice(path: Path) -> None:
    member = io.BytesIO()
    np.save(member, np.zeros(3))
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr("header.npy", member.getvalue())
    rejects(path, "damaged (a member is there twice), expected a whole .npz archive")


def test_pickles_are_not_read(path: Path) -> None:
    rewrite(path, layer0__weights=np.array([{}], dtype=object))
    rejects(
        path,
        "damaged (Object arrays cannot be loaded when allow_pickle=False), expected a whole .npz archive",
    )


MEMBERS = [
    ("layer0__weights", None, "is missing, expected uint64 of shape (9, 2)"),
    ("layer1__threshold", None, "is missing, expected int32 of shape (5)"),
    ("layer2__bias", None, "is missing, expected int32 of shape (3)"),
    ("header", None, "is missing, expected uint8 of shape (n)"),
    ("header", np.zeros((2, 2), dtype=np.uint8), "is uint8 of shape (2, 2), expected uint8 of shape (n)"),
    ("header", np.zeros(2, dtype=np.int8), "is int8 of shape (2), expected uint8 of shape (n)"),
    (
        "layer0__weights",
        np.zeros((9, 2), dtype=np.int64),
        "is int64 of shape (9, 2), expected uint64 of shape (9, 2)",
    ),
    (
        "layer0__weights",
        np.zeros((9, 1), dtype=np.uint64),
        "is uint64 of shape (9, 1), expected uint64 of shape (9, 2)",
    ),
    (
        "layer1__threshold",
        np.array([0.5, np.nan, 0, 0, 0]),
        "is float64 of shape (5), expected int32 of shape (5)",
    ),
    (
        "layer1__threshold",
        np.zeros((5, 1), dtype=np.int32),
        "is int32 of shape (5, 1), expected int32 of shape (5)",
    ),
    ("layer1__flip", np.zeros(5, dtype=np.uint8), "is uint8 of shape (5), expected bool of shape (5)"),
    ("layer2__scale", np.zeros(4, dtype=np.int32), "is int32 of shape (4), expected int32 of shape (3)"),
    ("layer2__bias", np.zeros(3, dtype=np.int64), "is int64 of shape (3), expected int32 of shape (3)"),
    ("layer2__threshold", np.zeros(3, dtype=np.int32), "is there, expected only those the header names"),
    ("notes", np.zeros(3), "is there, expected only those the header names"),
]


@pytest.mark.parametrize(("name", "value", "text"), MEMBERS)
def test_wrong_members(path: Path, name: str, value: Any, text: str) -> None:
    rewrite(path, **{name: value})
    rejects(path, f"member '{name.replace('__', '.')}' {text}")


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (
            b"{",
            "header is not JSON (Expecting property name enclosed in double quotes: "
            "line 1 column 2 (char 1)), expected a UTF-8 JSON object",
        ),
        (
            b"\xff",
            "header is not JSON ('utf-8' codec can't decode byte 0xff in position 0: invalid start byte), "
            "expected a UTF-8 JSON object",
        ),
        (
            b"[1]",
            "header has schema_version null, "
            "expected 1 or 2: export the network with this version of spinbnn",
        ),
    ],
)
def test_header_that_is_no_json_object(path: Path, octets: bytes, text: str) -> None:
    rewrite(path, header=np.frombuffer(octets, dtype=np.uint8))
    rejects(path, text)


def set_layer(index: int, **fields: Any) -> Callable[[dict[str, Any]], None]:
    return lambda header: header["layers"][index].update(fields)


def set_header(**fields: Any) -> Callable[[dict[str, Any]], None]:
    return lambda header: header.update(fields)


VERSION_CURE = f"expected 1 or {SCHEMA_VERSION}: export the network with this version of spinbnn"
DENSE_KEYS = "head, inputs, kind, name, neurons, relu, residual, weight_shifts"
HEAD_KINDS = 'expected "threshold", "multi_threshold" or "affine"'
HEADERS: list[tuple[Callable[[dict[str, Any]], object], str]] = [
    (set_header(schema_version=3), f"header has schema_version 3, {VERSION_CURE}"),
    (set_header(schema_version="1"), f'header has schema_version "1", {VERSION_CURE}'),
    (set_header(schema_version=True), f"header has schema_version true, {VERSION_CURE}"),
    (lambda header: header.pop("schema_version"), f"header has schema_version null, {VERSION_CURE}"),
    (
        lambda header: header.pop("name"),
        "header lacks 'name', expected input_bits, input_signed, layers, metadata, name, schema_version",
    ),
    (
        set_header(extra=1),
        "header has an unknown 'extra', "
        "expected input_bits, input_signed, layers, metadata, name, schema_version",
    ),
    (set_header(layers={}), "header has layers {}, expected a list"),
    (set_header(layers=[]), "member 'layer0.flip' is there, expected only those the header names"),
    (set_header(layers=[7]), "header of layer 0 is 7, expected a JSON object"),
    (
        lambda header: header["layers"][1].pop("head"),
        f"header of layer 1 lacks 'head', expected {DENSE_KEYS}",
    ),
    (set_layer(1, kernel=[1, 1]), f"header of layer 1 has an unknown 'kernel', expected {DENSE_KEYS}"),
    (
        lambda header: header["layers"][0].pop("kind"),
        'header of layer 0 has kind null, expected "dense" or "conv"',
    ),
    (set_layer(0, kind=["conv"]), 'header of layer 0 has kind ["conv"], expected "dense" or "conv"'),
    (set_layer(2, head="affine"), 'header of layer 2: head is "affine", expected a JSON object'),
    (set_layer(2, head={"kind": "conv"}), f'header of layer 2: head has kind "conv", {HEAD_KINDS}'),
    (set_layer(2, head={"kind": {}}), f"header of layer 2: head has kind {{}}, {HEAD_KINDS}"),
    (
        set_layer(0, head={"kind": "multi_threshold", "bits": 2}),
        "header of layer 0: head lacks 'low', expected bits, kind, low",
    ),
    (
        set_layer(0, head={"kind": "threshold", "bits": 2}),
        "header of layer 0: head has an unknown 'bits', expected kind",
    ),
    (set_layer(0, inputs=70.0), "header of layer 0 has inputs 70.0, expected a positive integer"),
    (set_layer(0, neurons=0), "header of layer 0 has neurons 0, expected a positive integer"),
    (set_layer(0, neurons=True), "header of layer 0 has neurons true, expected a positive integer"),
    (set_layer(0, weight_shifts=0), "header of layer 0 has weight_shifts 0, expected a list of integers"),
    (set_layer(0, weight_shifts=[]), "header of layer 0 has weight_shifts [], expected a list of integers"),
    (set_layer(0, weight_shifts=[8]), "layer 'layer0': a weight shift must be an integer from 0 to 7, not 8"),
    (
        set_layer(0, weight_shifts=[0, 1]),
        "member 'layer0.weights' is uint64 of shape (9, 2), expected uint64 of shape (2, 9, 2)",
    ),
    (set_layer(0, relu=1), "layer 'layer0': relu must be true or false, not 1"),
    (
        set_layer(1, residual="layer1"),
        "layer 'layer1': residual must be the name of an earlier layer, not 'layer1'",
    ),
    (
        set_layer(1, inputs=10**30),
        f"member 'layer1.weights' is uint64 of shape (5, 1), expected uint64 of shape (5, {10**30 // 64})",
    ),
    (set_layer(0, name=3), "a layer's name must be printable text, not 3"),
    (set_layer(0, name="layer1"), "layer names must differ, not layer1, layer1, layer2"),
    (set_layer(1, inputs=10), "layer 'layer1': inputs must be the 9 outputs of 'layer0', not 10"),
    (set_header(name=None), "a network's name must be printable text, not None"),
    (set_header(input_bits=9), "input_bits must be 1 to 8, not 9"),
    (set_header(input_bits=[4]), "input_bits must be an integer, not [4]"),
    (set_header(input_signed=0), "input_signed must be true or false, not 0"),
    (set_header(input_signed=True), "input_bits must be 1 for signed inputs, not 4"),
    (
        set_header(metadata={"x": float("inf")}),
        "metadata must be a dict of what JSON holds (text keys, lists, finite numbers), not other types",
    ),
    (
        set_header(metadata=3),
        "metadata must be a dict of what JSON holds (text keys, lists, finite numbers), not other types",
    ),
]


@pytest.mark.parametrize(("change", "text"), HEADERS)
def test_wrong_headers(path: Path, change: Callable[[dict[str, Any]], object], text: str) -> None:
    rewrite_header(path, change)
    rejects(path, text)


CONVOLUTIONS: list[tuple[dict[str, Any], str]] = [
    ({"input_shape": [6, 7]}, "header of layer 0 has input_shape [6, 7], expected 3 positive integers"),
    ({"kernel": [2, 0]}, "header of layer 0 has kernel [2, 0], expected 2 positive integers"),
    ({"kernel": 3}, "header of layer 0 has kernel 3, expected 2 positive integers"),
    ({"stride": 1}, "layer 'wide': stride must be 2 integers, not 1"),
    ({"padding": [1, 1]}, "layer 'wide': padding must be 4 integers, not (1, 1)"),
    ({"pad_value": 2}, "layer 'wide': pad_value must be an integer from -1 to 1, not 2"),
    ({"pad_value": 1}, "layer 'wide': pad_value must be 0 for inputs that are not +1 and -1, not 1"),
    ({"pool": 2}, "header of layer 0: pool is 2, expected a JSON object"),
    ({"pool": {"kind": "or"}}, "header of layer 0: pool lacks 'size', expected kind, size, stride"),
    (
        {"pool": {"kind": ["or"], "size": [1, 1], "stride": [1, 1]}},
        "pooling must be max, sum or or, not ('or',)",
    ),
    (
        {"kernel": [2, 9]},
        "member 'layer0.weights' is uint64 of shape (3, 5, 2), expected uint64 of shape (3, 5, 5)",
    ),
    (
        {"neurons": 6},
        "member 'layer0.weights' is uint64 of shape (3, 5, 2), expected uint64 of shape (3, 6, 2)",
    ),
    (
        {"head": {"kind": "multi_threshold", "bits": 5, "low": 0}},
        "bits of an activation must be an integer from 1 to 4, not 5",
    ),
    (
        {"head": {"kind": "threshold"}},
        "member 'layer0.threshold' is int32 of shape (5, 5), expected int32 of shape (5)",
    ),
]


@pytest.mark.parametrize(("fields", "text"), CONVOLUTIONS)
def test_wrong_headers_of_convolutions(tmp_path: Path, fields: dict[str, Any], text: str) -> None:
    path = tmp_path / "n.npz"
    save_network(CONVOLUTIONAL, path)
    rewrite_header(path, set_layer(0, **fields))
    rejects(path, text)


def test_wrong_thresholds_of_several_bits(tmp_path: Path) -> None:
    path = tmp_path / "n.npz"
    save_network(CONVOLUTIONAL, path)
    rewrite(path, layer0__threshold=np.zeros((5, 4), dtype=np.int32))
    rejects(path, "member 'layer0.threshold' is int32 of shape (5, 4), expected int32 of shape (n, 5)")


def test_bits_beyond_the_last_input(path: Path) -> None:
    weights = arrays_of(path)["layer1.weights"]
    weights[3, 0] |= np.uint64(1 << 9)
    rewrite(path, layer1__weights=weights)
    rejects(path, "layer 'layer1': weights must be 0 beyond input 8, not 1")


def test_scale_outside_int16(path: Path) -> None:
    rewrite(path, layer2__scale=np.array([1, 2, 32768], dtype=np.int32))
    rejects(path, "logit scale must be -32768 to 32767, not 1..32768")


def test_logit_that_could_overflow(path: Path) -> None:
    rewrite(path, layer2__bias=np.array([1, 2, 2**31 - 1], dtype=np.int32))
    with pytest.raises(
        NetworkFileError, match="layer 'layer2': scale \\* sum \\+ bias must stay within 2147483647"
    ):
        load_network(path)


DAMAGE = settings(deadline=None, derandomize=True, max_examples=200)


def loads_equal_or_says_why(path: Path) -> None:
    reason, loaded = "", None
    try:
        loaded = load_network(path)
    except NetworkFileError as error:
        reason = str(error)
    assert loaded == NETWORK or (reason.startswith(f"{path}: ") and "\n" not in reason)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    path = tmp_path_factory.mktemp("damaged") / "network.npz"
    save_network(NETWORK, path)
    return path, path.read_bytes()


@DAMAGE
@given(data=st.data())
def test_flipped_bytes_are_noticed_or_harmless(saved: tuple[Path, bytes], data: st.DataObject) -> None:
    path, octets = saved
    damaged = bytearray(octets)
    flips = st.tuples(st.integers(0, len(octets) - 1), st.integers(1, 255))
    for position, mask in data.draw(st.lists(flips, min_size=1, max_size=4)):
        damaged[position] ^= mask
    path.write_bytes(damaged)
    loads_equal_or_says_why(path)


def test_each_flipped_byte_is_noticed_or_harmless(saved: tuple[Path, bytes]) -> None:
    path, octets = saved
    for position in range(len(octets)):
        damaged = bytearray(octets)
        damaged[position] ^= 0xFF
        path.write_bytes(damaged)
        loads_equal_or_says_why(path)


def test_every_truncation_is_noticed(saved: tuple[Path, bytes]) -> None:
    path, octets = saved
    for length in range(len(octets)):
        path.write_bytes(octets[:length])
        with pytest.raises(NetworkFileError):
            load_network(path)


@DAMAGE
@given(st.binary(max_size=300))
def test_any_bytes_are_rejected(saved: tuple[Path, bytes], octets: bytes) -> None:
    path, _ = saved
    path.write_bytes(octets)
    with pytest.raises(NetworkFileError):
        load_network(path)


def test_a_failed_write_leaves_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(NetworkFileError) as caught:
        save_network(random_network([9, 2]), path)
    text = f"{path}: cannot be written (No space left on device), expected a path in a writable folder"
    assert str(caught.value) == text
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_writing_into_a_missing_folder(tmp_path: Path) -> None:
    path = tmp_path / "no" / "n.npz"
    text = f"{path}: cannot be written (No such file or directory), expected a path in a writable folder"
    with pytest.raises(NetworkFileError, match=f"^{re.escape(text)}$"):
        save_network(NETWORK, path)
    assert list(tmp_path.iterdir()) == []


def test_writing_onto_a_folder(tmp_path: Path) -> None:
    text = f"{tmp_path}: cannot be written (it is a folder), expected the path of a file"
    with pytest.raises(NetworkFileError, match=f"^{re.escape(text)}$"):
        save_network(NETWORK, tmp_path)


def test_thresholds_keep_their_polarity(path: Path) -> None:
    loaded = load_network(path).layers[0]
    intended = NETWORK.layers[0].head
    assert isinstance(loaded.head, Threshold)
    assert isinstance(intended, Threshold)
    assert loaded.head.flip.tolist() == intended.flip.tolist()
    assert 0 < loaded.head.flip.sum() < 9
