"""Networks on disk: one ``.npz`` without pickles, the same bytes for the same network."""

import contextlib
import dataclasses
import io
import json
import math
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinbnn.golden.encoding import SLICE_BITS, words_for
from spinbnn.golden.errors import NetworkError, NetworkFileError
from spinbnn.golden.layers import Affine, Conv, Dense, Head, Layer, MultiThreshold, Pool, Threshold
from spinbnn.golden.network import Network

SCHEMA_VERSION = 2

_HEADER_KEYS = {"schema_version", "name", "input_bits", "input_signed", "metadata", "layers"}
# By the kind of a layer: its fields in the header, besides "kind", "neurons" and "head".
_COMMON_FIELDS = ("name", "weight_shifts", "relu", "residual")
_LAYERS: dict[str, tuple[type[Layer], tuple[str, ...]]] = {
    "dense": (Dense, (*_COMMON_FIELDS, "inputs")),
    "conv": (Conv, (*_COMMON_FIELDS, "input_shape", "kernel", "stride", "padding", "pad_value", "pool")),
}
# By the kind of a head: its arrays (member and attribute), and its fields in the header besides "kind".
_HEADS: dict[str, tuple[type[Head], tuple[tuple[str, str], ...], tuple[str, ...]]] = {
    "threshold": (Threshold, (("threshold", "values"), ("flip", "flip")), ()),
    "multi_threshold": (MultiThreshold, (("threshold", "values"), ("flip", "flip")), ("bits", "low")),
    "affine": (Affine, (("scale", "scale"), ("bias", "bias")), ()),
}
_VERSION_1_KEYS = {"name", "inputs", "outputs", "head"}
_POOL_KEYS = {"kind", "size", "stride"}
_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
Arrays = dict[str, NDArray[Any]]


def save_network(network: Network, path: str | os.PathLike[str]) -> None:
    """Write a network file, whole or not at all.

    Parameters
    ----------
    network : Network
    path : path
        Usually ends in ``.npz``; `numpy.load` reads it.

    Raises
    ------
    NetworkFileError
        If the file cannot be written.
    """
    path = Path(path)
    if path.is_dir():
        raise NetworkFileError(f"{path}: cannot be written (it is a folder), expected the path of a file")
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(_to_bytes(network))
        part.replace(path)
    except OSError as error:
        raise NetworkFileError(
            f"{path}: cannot be written ({error.strerror}), expected a path in a writable folder"
        ) from None
    finally:
        with contextlib.suppress(OSError):  # it is there only where writing or renaming failed
            part.unlink()


def _to_bytes(network: Network) -> bytes:
    """Return the file's bytes; times are fixed so that they depend on the network alone."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, array in _to_arrays(network).items():
            info = zipfile.ZipInfo(f"{name}.npy", _ZIP_EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.create_system = 3  # as on Unix, wherever it is written
            member = io.BytesIO()
            np.lib.format.write_array(member, array, version=(1, 0), allow_pickle=False)
            archive.writestr(info, member.getvalue())
    return buffer.getvalue()


def _to_arrays(network: Network) -> Arrays:
    arrays: Arrays = {}
    described = []
    for index, layer in enumerate(network.layers):
        if isinstance(layer, Conv) and layer.odd_plane_weights is not None:
            raise NetworkFileError(
                f"layer '{layer.name}' holds weights as a machine stores them, twice: "
                "save the intended network"
            )
        described.append(_layer_fields(layer))
        arrays[f"layer{index}.weights"] = layer.weights.astype("<u8")
        _, members, _ = _HEADS[_kind(_HEADS, layer.head)]
        for member, attribute in members:
            dtype = _dtype(member).newbyteorder("<")
            arrays[f"layer{index}.{member}"] = getattr(layer.head, attribute).astype(dtype)
    header = {
        "schema_version": SCHEMA_VERSION,
        "name": network.name,
        "input_bits": network.input_bits,
        "input_signed": network.input_signed,
        "metadata": network.metadata,
        "layers": described,
    }
    text = json.dumps(header, sort_keys=True).encode()
    return {"header": np.frombuffer(text, dtype=np.uint8), **arrays}


def _layer_fields(layer: Layer) -> dict[str, Any]:
    """Return a layer's part of the header."""
    kind, head_kind = _kind(_LAYERS, layer), _kind(_HEADS, layer.head)
    fields = {name: getattr(layer, name) for name in _LAYERS[kind][1]}
    if fields.get("pool") is not None:
        fields["pool"] = dataclasses.asdict(fields["pool"])
    head = {name: getattr(layer.head, name) for name in _HEADS[head_kind][2]}
    return {"kind": kind, "neurons": layer.neurons, "head": {"kind": head_kind, **head}, **fields}


def _kind(kinds: Mapping[str, tuple[type, *tuple[Any, ...]]], value: object) -> str:
    return next(kind for kind, (cls, *_) in kinds.items() if isinstance(value, cls))


def _dtype(member: str) -> np.dtype[Any]:
    """Return the type of an array of a head."""
    return np.dtype(np.bool_ if member == "flip" else np.int32)


def load_network(path: str | os.PathLike[str]) -> Network:
    """Read a network file.

    Raises
    ------
    NetworkFileError
        If the file is missing, damaged, of another version or inconsistent; the text says where.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise NetworkFileError(
            f"{path}: cannot be read ({error.strerror}), expected a network file"
        ) from None
    try:
        return _from_arrays(_read_members(data))
    except (NetworkFileError, NetworkError) as error:
        raise NetworkFileError(f"{path}: {error}") from None


def _read_members(data: bytes) -> Arrays:
    """Return the arrays of an archive by name."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = archive.infolist()
            arrays = {info.filename.removesuffix(".npy"): _read_member(archive, info) for info in infos}
            if len(arrays) != len(infos):
                raise zipfile.BadZipFile("a member is there twice")
            return arrays
    # A damaged archive makes the standard library raise nearly anything; every one of them means the same.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise NetworkFileError(f"damaged ({reason}), expected a whole .npz archive") from None


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> NDArray[Any]:
    data = archive.read(info)  # checks the CRC
    array: NDArray[Any] = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    return array


def _from_arrays(arrays: Arrays) -> Network:
    header = _read_header(arrays)
    layers = tuple(_read_layer(arrays, index, fields) for index, fields in enumerate(header["layers"]))
    expected = {"header"}
    for index, fields in enumerate(header["layers"]):
        members = _HEADS[fields["head"]["kind"]][1]
        expected |= {f"layer{index}.{member}" for member in ("weights", *dict(members))}
    surplus = sorted(set(arrays) - expected)
    if surplus:
        raise NetworkFileError(f"member '{surplus[0]}' is there, expected only those the header names")
    return Network(header["name"], layers, header["input_bits"], header["input_signed"], header["metadata"])


def _member(arrays: Arrays, name: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Return one array, of exactly this type and shape; a -1 in the shape takes any length."""
    if name not in arrays:
        raise NetworkFileError(f"member '{name}' is missing, expected {dtype} of shape {_shown(shape)}")
    array = arrays[name]
    fits = len(array.shape) == len(shape) and all(
        want in (-1, have) for want, have in zip(shape, array.shape, strict=True)
    )
    if array.dtype != dtype or not fits:
        raise NetworkFileError(
            f"member '{name}' is {array.dtype} of shape {_shown(array.shape)}, "
            f"expected {dtype} of shape {_shown(shape)}"
        )
    return array


def _shown(shape: tuple[int, ...]) -> str:
    return "(" + ", ".join("n" if size == -1 else str(size) for size in shape) + ")"


def _read_header(arrays: Arrays) -> dict[str, Any]:
    octets = _member(arrays, "header", np.dtype(np.uint8), (-1,))
    try:
        header = json.loads(octets.tobytes().decode())
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise NetworkFileError(f"header is not JSON ({reason}), expected a UTF-8 JSON object") from None
    version = header.get("schema_version") if isinstance(header, dict) else None
    if version not in (1, SCHEMA_VERSION) or isinstance(version, bool):
        raise NetworkFileError(
            f"header has schema_version {json.dumps(version)}, expected 1 or {SCHEMA_VERSION}: "
            "export the network with this version of spinbnn"
        )
    _check_keys("header", header, _HEADER_KEYS)
    if not isinstance(header["layers"], list):
        raise NetworkFileError(f"header has layers {json.dumps(header['layers'])}, expected a list")
    layers = header["layers"]
    if version == 1:
        layers = [_from_version_1(f"header of layer {i}", fields) for i, fields in enumerate(layers)]
    for index, fields in enumerate(layers):
        _check_layer(f"header of layer {index}", fields)
    return {**header, "layers": layers}


def _from_version_1(where: str, fields: Any) -> dict[str, Any]:
    """Return the fields of a layer of version 1, which knew fully connected layers of weights of one bit."""
    _check_keys(where, fields, _VERSION_1_KEYS)
    return {
        "kind": "dense",
        "name": fields["name"],
        "inputs": fields["inputs"],
        "neurons": fields["outputs"],
        "head": {"kind": fields["head"]},
        "weight_shifts": [0],
        "relu": False,
        "residual": None,
    }


def _check_layer(where: str, fields: Any) -> None:
    """See that a layer's part of the header has what finding its arrays needs; the layer checks the rest."""
    kind = _checked_kind(where, fields, _LAYERS)
    _check_keys(where, fields, {"kind", "neurons", "head", *_LAYERS[kind][1]})
    head = f"{where}: head"
    _check_keys(head, fields["head"], {"kind", *_HEADS[_checked_kind(head, fields["head"], _HEADS)][2]})
    if fields.get("pool") is not None:
        _check_keys(f"{where}: pool", fields["pool"], _POOL_KEYS)
    for name in ("neurons", "inputs"):
        if not _is_positive(fields.get(name, 1)):
            raise NetworkFileError(
                f"{where} has {name} {json.dumps(fields[name])}, expected a positive integer"
            )
    for name, count in {"input_shape": 3, "kernel": 2}.items():
        values = fields.get(name, [1] * count)
        if not isinstance(values, list) or len(values) != count or not all(map(_is_positive, values)):
            raise NetworkFileError(
                f"{where} has {name} {json.dumps(values)}, expected {count} positive integers"
            )
    if not isinstance(fields["weight_shifts"], list) or not fields["weight_shifts"]:
        raise NetworkFileError(
            f"{where} has weight_shifts {json.dumps(fields['weight_shifts'])}, expected a list of integers"
        )


def _checked_kind(where: str, fields: Any, kinds: Mapping[str, Any]) -> str:
    _check_object(where, fields)
    kind = fields.get("kind")
    if kind not in list(kinds):
        *others, last = (f'"{known}"' for known in kinds)
        raise NetworkFileError(f"{where} has kind {json.dumps(kind)}, expected {', '.join(others)} or {last}")
    return str(kind)


def _is_positive(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _check_object(where: str, value: Any) -> None:
    if not isinstance(value, dict):
        raise NetworkFileError(f"{where} is {json.dumps(value)}, expected a JSON object")


def _check_keys(where: str, value: Any, keys: set[str]) -> None:
    _check_object(where, value)
    missing, surplus = sorted(keys - set(value)), sorted(set(value) - keys)
    if missing or surplus:
        what = f"lacks '{missing[0]}'" if missing else f"has an unknown '{surplus[0]}'"
        raise NetworkFileError(f"{where} {what}, expected {', '.join(sorted(keys))}")


def _read_layer(arrays: Arrays, index: int, fields: dict[str, Any]) -> Layer:
    cls, names = _LAYERS[fields["kind"]]
    values = {name: _frozen(fields[name]) for name in names}
    if values.get("pool") is not None:
        values["pool"] = Pool(**{name: _frozen(value) for name, value in values["pool"].items()})
    inputs = values["inputs"] if cls is Dense else math.prod(values["kernel"]) * values["input_shape"][2]
    planes = len(values["weight_shifts"])
    shape = (*((planes,) if planes > 1 else ()), fields["neurons"], words_for(inputs, SLICE_BITS))
    weights = _member(arrays, f"layer{index}.weights", np.dtype(np.uint64), shape)
    return cls(weights=weights, head=_read_head(arrays, index, fields), **values)


def _read_head(arrays: Arrays, index: int, fields: dict[str, Any]) -> Head:
    kind, neurons = fields["head"]["kind"], fields["neurons"]
    cls, members, names = _HEADS[kind]
    values = {name: fields["head"][name] for name in names}
    for member, attribute in members:
        shape = (-1, neurons) if (kind, member) == ("multi_threshold", "threshold") else (neurons,)
        values[attribute] = _member(arrays, f"layer{index}.{member}", _dtype(member), shape)
    return cls(**values)


def _frozen(value: Any) -> Any:
    """Return what the header has as a list as the tuple that layers want."""
    return tuple(value) if isinstance(value, list) else value
