"""Networks on disk: one ``.npz`` without pickles, the same bytes for the same network."""

import contextlib
import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinbnn.golden.encoding import SLICE_BITS, words_for
from spinbnn.golden.errors import NetworkError, NetworkFileError
from spinbnn.golden.layers import Affine, Dense, Threshold
from spinbnn.golden.network import Network

SCHEMA_VERSION = 1

_HEADER_KEYS = {"schema_version", "name", "input_bits", "input_signed", "metadata", "layers"}
_LAYER_KEYS = {"name", "inputs", "outputs", "head"}
# Vectors of a head by its kind: member name and type.
_HEADS = {
    "threshold": (("threshold", np.dtype(np.int32)), ("flip", np.dtype(np.bool_))),
    "affine": (("scale", np.dtype(np.int32)), ("bias", np.dtype(np.int32))),
}
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
        head = "threshold" if isinstance(layer.head, Threshold) else "affine"
        described.append({"name": layer.name, "inputs": layer.inputs, "outputs": layer.outputs, "head": head})
        arrays[f"layer{index}.weights"] = layer.weights.astype("<u8")
        if isinstance(layer.head, Threshold):
            arrays[f"layer{index}.threshold"] = layer.head.values.astype("<i4")
            arrays[f"layer{index}.flip"] = layer.head.flip
        else:
            arrays[f"layer{index}.scale"] = layer.head.scale.astype("<i4")
            arrays[f"layer{index}.bias"] = layer.head.bias.astype("<i4")
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
        expected.add(f"layer{index}.weights")
        expected.update(f"layer{index}.{name}" for name, _ in _HEADS[fields["head"]])
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
    if version != SCHEMA_VERSION or isinstance(version, bool):
        raise NetworkFileError(
            f"header has schema_version {json.dumps(version)}, expected {SCHEMA_VERSION}: "
            "export the network with this version of spinbnn"
        )
    _check_keys("header", header, _HEADER_KEYS)
    if not isinstance(header["layers"], list):
        raise NetworkFileError(f"header has layers {json.dumps(header['layers'])}, expected a list")
    for index, fields in enumerate(header["layers"]):
        _check_keys(f"header of layer {index}", fields, _LAYER_KEYS)
        if fields["head"] not in ("threshold", "affine"):
            raise NetworkFileError(
                f"header of layer {index} has head {json.dumps(fields['head'])}, "
                'expected "threshold" or "affine"'
            )
        for name in ("inputs", "outputs"):
            value = fields[name]
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise NetworkFileError(
                    f"header of layer {index} has {name} {json.dumps(value)}, expected a positive integer"
                )
    return dict(header)


def _check_keys(where: str, value: Any, keys: set[str]) -> None:
    if not isinstance(value, dict):
        raise NetworkFileError(f"{where} is {json.dumps(value)}, expected a JSON object")
    missing, surplus = sorted(keys - set(value)), sorted(set(value) - keys)
    if missing or surplus:
        what = f"lacks '{missing[0]}'" if missing else f"has an unknown '{surplus[0]}'"
        raise NetworkFileError(f"{where} {what}, expected {', '.join(sorted(keys))}")


def _read_layer(arrays: Arrays, index: int, fields: dict[str, Any]) -> Dense:
    inputs, outputs = fields["inputs"], fields["outputs"]
    shape = (outputs, words_for(inputs, SLICE_BITS))
    weights = _member(arrays, f"layer{index}.weights", np.dtype(np.uint64), shape)
    first, second = (
        _member(arrays, f"layer{index}.{name}", dtype, (outputs,)) for name, dtype in _HEADS[fields["head"]]
    )
    head = Threshold(first, second) if fields["head"] == "threshold" else Affine(first, second)
    return Dense(fields["name"], weights, inputs, head)
