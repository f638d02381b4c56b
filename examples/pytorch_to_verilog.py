"""From a PyTorch model to Verilog: train with Brevitas, export QONNX, import, compare, generate.

Needs PyTorch, Brevitas and onnx: pip install 'spinbnn[interop]'.

    python examples/pytorch_to_verilog.py [OUTPUT_FOLDER]
"""

import sys
from fractions import Fraction
from pathlib import Path

import brevitas.nn as qnn
import numpy as np
import torch
from brevitas.core.quant import QuantType
from brevitas.export import export_qonnx
from brevitas.inject.enum import ScalingImplType
from torch import nn

from spinbnn.golden.geometry import Geometry
from spinbnn.golden.network import classify, forward
from spinbnn.golden.network_file import save_network
from spinbnn.hw.generator import generate
from spinbnn.sim.datasets import bundled_images
from spinbnn.sim.interchange.importer import import_network
from spinbnn.sim.interchange.inputs import network_pixels

BINARY = {"bit_width": 1, "scaling_impl_type": ScalingImplType.CONST}
TRAINING_IMAGES = 400


def binary_layer(inputs: int, outputs: int) -> nn.Module:
    """Return a fully connected layer whose weights are +1 and -1."""
    return qnn.QuantLinear(
        inputs, outputs, bias=False, weight_quant_type=QuantType.BINARY, weight_scaling_const=1.0,
        **{f"weight_{name}": value for name, value in BINARY.items()},
    )  # fmt: skip


def binary_activation() -> nn.Module:
    """Return an activation of +1 and -1."""
    return qnn.QuantIdentity(
        quant_type=QuantType.BINARY, scaling_const=1.0, min_val=-1.0, max_val=1.0, **BINARY
    )


def model() -> nn.Module:
    """Return a network of 784-256-10 for pixels from 0 to 1."""
    return nn.Sequential(
        nn.Flatten(),
        qnn.QuantIdentity(
            bit_width=8, signed=False, min_val=0.0, max_val=1.0, scaling_impl_type=ScalingImplType.CONST
        ),
        binary_layer(784, 256),
        nn.BatchNorm1d(256),
        binary_activation(),
        binary_layer(256, 10),
        nn.BatchNorm1d(10, affine=False),
    )


def trained(images: torch.Tensor, labels: torch.Tensor) -> nn.Module:
    """Return the network, trained for a moment."""
    torch.manual_seed(1)
    network = model()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.005)
    network.train()
    for _ in range(30):
        for batch in torch.randperm(len(images)).split(100):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(images[batch]), labels[batch]).backward()
            optimizer.step()
    return network.eval()


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    data = bundled_images()
    images = torch.from_numpy(data.pixels.reshape(-1, 1, 28, 28) / np.float32(255))
    labels = torch.from_numpy(data.labels.astype(np.int64))

    # 1. Train, and export as QONNX. (Few images, a few seconds: this is no benchmark.)
    network = trained(images[:TRAINING_IMAGES], labels[:TRAINING_IMAGES])
    with torch.no_grad():
        wanted = network(images).numpy()
    export_qonnx(network, images[:1], str(folder / "model.onnx"))

    # 2. Import: batch normalisation, quantisers and scales become integer thresholds.
    imported = import_network(folder / "model.onnx")
    for layer in imported.layers:
        print(f"{layer.layer}: {layer.operation}, {', '.join(layer.folded)} -> {layer.into}")
    for note in imported.notes:
        print(note)

    # 3. Compare the integers with the float model on real images.
    integers = forward(imported.network, network_pixels(imported.network, data.pixels))
    scale, offset = (Fraction(imported.network.metadata[name]) for name in ("logit_scale", "logit_offset"))
    print(
        f"largest difference of logits {np.abs(integers * float(scale) + float(offset) - wanted).max():.2g}"
    )
    print(f"equal classes {np.mean(classify(integers) == wanted.argmax(axis=1)):.2%}")
    unseen = classify(integers)[TRAINING_IMAGES:] == data.labels[TRAINING_IMAGES:]
    print(f"accuracy on {len(unseen)} unseen images {unseen.mean():.2%}")

    # 4. The network file, for `spinbnn run`, and the Verilog with its memory images.
    save_network(imported.network, folder / "model.npz")
    manifest = generate(folder / "verilog", Geometry.from_preset("64x64"), network=imported.network)
    print(f"{len(manifest.files)} files in {folder / 'verilog'}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("build/pytorch_to_verilog"))
