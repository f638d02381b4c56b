"""A training run: layers, optimiser, random generator, and checkpoints after each epoch."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinbnn.golden.architectures import LayerPlan
from spinbnn.golden.errors import SpinbnnError
from spinbnn.sim.datasets import Dataset, load_split
from spinbnn.sim.training.errors import flip_signs
from spinbnn.sim.training.model import TrainedModel
from spinbnn.sim.training.recipes import Recipe
from spinbnn.sim.training.torch_layers import (
    TorchLayer,
    classes,
    import_torch,
    inputs,
    logits,
    quantised,
    to_trained,
    weight_shape,
)
from spinbnn.sim.training.weight_memory import Cells, WeightMemory, Writes


@dataclass(frozen=True)
class Status:
    """How far a training run has come.

    Attributes
    ----------
    epoch, epochs : int
        Epochs finished, of how many.
    step, steps : int
        Steps finished of the epoch under way, of how many.
    loss, accuracy : float
        Mean loss and accuracy on the training images of the epoch so far.
    validation_accuracy : float or None
        Accuracy on the held-out images; None within an epoch, or when none are held out.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    accuracy: float
    validation_accuracy: float | None = None


def train(
    recipe: Recipe, data_dir: Path, checkpoint: Path, progress: Callable[[Status], None] | None = None
) -> TrainedModel:
    """Train a network on the training images in a directory.

    After each epoch everything is written to `checkpoint`. A run that was interrupted goes on from there when
    it is started again, and ends with the same network as one that was not.

    Parameters
    ----------
    recipe : Recipe
        What to train, and how.
    data_dir : Path
        Where the training images are; see `spinbnn.sim.datasets.load_split`.
    checkpoint : Path
        The file to resume from if it is there, and to write.
    progress : callable, optional
        Called with a `Status` after each step and each epoch; see `progress_bar`.

    Raises
    ------
    SpinbnnError
        If PyTorch is missing, or the checkpoint is not of this recipe and these images.
    DataError
        If the images cannot be read, or do not fit the network.
    """
    return _trained(recipe, None, data_dir, checkpoint, progress).result()


@dataclass(frozen=True)
class TrainedInMemory:
    """What training in memory made.

    Attributes
    ----------
    model : TrainedModel
        Its weights are what the cells held in the end.
    writes : Writes
    most_pulses, mean_pulses : float
        Pulses on the cell that was pulsed most, and on a cell in the mean.
    wrong_share : float
        Share of the cells that did not hold what they should in the end.
    """

    model: TrainedModel
    writes: Writes
    most_pulses: int
    mean_pulses: float
    wrong_share: float


def train_in_memory(
    recipe: Recipe,
    cells: Cells,
    data_dir: Path,
    checkpoint: Path,
    progress: Callable[[Status], None] | None = None,
) -> TrainedInMemory:
    """Train a network whose weights live in memory while it learns; see `spinbnn.sim.training.weight_memory`.

    Parameters and errors are those of `train`; weights must be of 1 bit.
    """
    if any(layer.weight_bits > 1 for layer in recipe.architecture.layers):
        raise SpinbnnError(
            f"recipe '{recipe.name}': training in memory is for weights of 1 bit, not of several"
        )
    run = _trained(recipe, cells, data_dir, checkpoint, progress)
    assert run.memory is not None
    wanted = run.latent_signs()
    differing = [
        int((stored != signs).sum()) for stored, signs in zip(run.memory.stored, wanted, strict=True)
    ]
    count = sum(pulses.numel() for pulses in run.memory.pulsed)
    return TrainedInMemory(
        run.result(),
        run.memory.writes,
        max(int(pulses.max()) for pulses in run.memory.pulsed),
        run.memory.writes.pulses / count,
        sum(differing) / count,
    )


def _trained(
    recipe: Recipe,
    cells: Cells | None,
    data_dir: Path,
    checkpoint: Path,
    progress: Callable[[Status], None] | None,
) -> Run:
    """Return a run behind its last epoch."""
    torch = import_torch()
    data = load_split(data_dir, "train")
    data.head(1).fitted(recipe.architecture)
    if int(data.labels.max()) >= recipe.architecture.classes:
        raise SpinbnnError(
            f"recipe '{recipe.name}': classes must be more than the largest label in {data_dir}, "
            f"which is {data.labels.max()}, not {recipe.architecture.classes}"
        )
    if len(data) - recipe.validation_images < recipe.batch_size:
        raise SpinbnnError(
            f"recipe '{recipe.name}': {len(data)} training images with {recipe.validation_images} "
            f"held out must fill a batch of {recipe.batch_size}"
        )
    with repeatable(torch):
        run = Run(torch, recipe, data, cells)
        if checkpoint.exists():
            run.resume(checkpoint)
        else:
            run.save(checkpoint)  # a folder that cannot be written is found out before an epoch is lost
        while len(run.history) < recipe.epochs:
            run.epoch(progress or (lambda status: None))
            run.save(checkpoint)
        return run


@contextmanager
def repeatable(torch: Any) -> Iterator[None]:
    """Compute on one thread with deterministic algorithms: with more, sums are taken in another order.

    Two threads beside a busy process also take several times as long as one; networks are trained two at a
    time instead.

    PyTorch would also fill memory before its operations write there, which takes a fifth of the time.
    """
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    fill = torch.utils.deterministic.fill_uninitialized_memory
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic)
        torch.utils.deterministic.fill_uninitialized_memory = fill


class Run:
    """A training run: layers, optimiser, random generator, and the epochs behind it."""

    def __init__(self, torch: Any, recipe: Recipe, data: Dataset, cells: Cells | None = None) -> None:
        self.torch = torch
        self.recipe = recipe
        self.plans = recipe.architecture.plan()
        self.history: list[Status] = []
        self.data_sha256 = data.sha256
        self.generator = torch.Generator().manual_seed(recipe.seed)
        order = torch.randperm(len(data), generator=self.generator).numpy()
        held_out, used = np.split(order, [recipe.validation_images])
        self.images = torch.from_numpy(data.images[used])
        self.labels = torch.from_numpy(data.labels[used]).long()
        self.validation = Dataset(data.images[held_out], data.labels[held_out])
        self.layers = [self._initial_layer(plan) for plan in self.plans]
        trained = [tensor for layer in self.layers for tensor in (layer.weight, layer.gamma, layer.beta)]
        # `fused` updates in one pass over memory; with it a step takes three quarters of the time.
        self.optimizer = torch.optim.Adam(trained, lr=recipe.learning_rate, fused=True)
        self.cells = cells
        self.memory = (
            None if cells is None else WeightMemory(torch, cells, self.latent_signs(), self.generator)
        )

    def _initial_layer(self, plan: LayerPlan) -> TorchLayer:
        torch, bound = self.torch, self.recipe.initial_weight
        weight = torch.empty(*weight_shape(plan)).uniform_(-bound, bound, generator=self.generator)
        gamma, beta = torch.ones(plan.shape.neurons), torch.zeros(plan.shape.neurons)
        for tensor in (weight, gamma, beta):
            tensor.requires_grad_()
        return TorchLayer(weight, gamma, beta, torch.zeros(len(beta)), torch.ones(len(beta)))

    def epoch(self, progress: Callable[[Status], None]) -> None:
        """Go once through the training images."""
        torch, size = self.torch, self.recipe.batch_size
        steps = len(self.images) // size
        order = torch.randperm(len(self.images), generator=self.generator)
        loss_sum, correct = 0.0, 0
        for step in range(steps):
            batch = order[step * size : (step + 1) * size]
            self._set_learning_rate(len(self.history) * steps + step, steps)
            loss, right = self.step(self.images[batch], self.labels[batch])
            loss_sum += loss
            correct += right
            done = step + 1
            status = Status(
                len(self.history), self.recipe.epochs, done, steps, loss_sum / done, correct / done / size
            )
            progress(status)
        accuracy = self._validation_accuracy()
        status = Status(status.epoch + 1, status.epochs, 0, steps, status.loss, status.accuracy, accuracy)
        self.history.append(status)
        progress(status)

    def _set_learning_rate(self, step: int, steps: int) -> None:
        rise = (
            min(1.0, (step + 1) / (self.recipe.warmup_epochs * steps)) if self.recipe.warmup_epochs else 1.0
        )
        fall = 0.5 * (1 + math.cos(math.pi * step / (self.recipe.epochs * steps)))
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.learning_rate * rise * fall

    def step(self, images: Any, labels: Any) -> tuple[float, int]:
        """Learn from one batch; return its mean loss and how many were right."""
        torch, architecture = self.torch, self.recipe.architecture
        weights = [self._read(weight).requires_grad_() for weight in self._weights()]
        shown = distorted(torch, images, self.recipe, self.generator)
        if self.recipe.stochastic_input:
            shown = black_or_white(torch, shown, self.generator)
        pixels = Dataset(shown, np.empty(0, np.uint8)).fitted(architecture).pixels
        x = inputs(torch, architecture, pixels, torch.bfloat16 if self.recipe.bfloat16 else torch.float32)
        disturb = self._disturb_activations if self.recipe.activation_error else None
        x = logits(torch, architecture, self.layers, weights, x, True, disturb).float()
        loss = torch.nn.functional.cross_entropy(x, labels)
        self.optimizer.zero_grad()
        loss.backward()
        for layer, weight in zip(self.layers, weights, strict=True):
            layer.weight.grad = weight.grad  # straight through the sign: within -1..1 its slope counts as 1
        self.optimizer.step()
        with torch.no_grad():
            for layer in self.layers:
                layer.weight.clamp_(-1, 1)
        if self.memory is not None:
            self.memory.update(self.latent_signs())
        return loss.item(), int((x.argmax(1) == labels).sum())

    def _weights(self) -> list[Any]:
        """Return the weights that the network has: of the cells, if they are in memory."""
        if self.memory is not None:
            return [stored.clone() for stored in self.memory.stored]
        return self.latent_signs()

    def latent_signs(self) -> list[Any]:
        """Return the integers that the latent weights stand for."""
        return [
            quantised(layer.weight.detach(), plan.shape.weight_bits)
            for plan, layer in zip(self.plans, self.layers, strict=True)
        ]

    def _read(self, weight: Any) -> Any:
        """Return weights as memory with errors gives them for a batch."""
        flip_signs(
            self.torch, weight, self.recipe.weight_error_01, self.recipe.weight_error_10, self.generator
        )
        return weight

    def _disturb_activations(self, signs: Any) -> None:
        rate = self.recipe.activation_error
        flip_signs(self.torch, signs, rate, rate, self.generator)

    def _validation_accuracy(self) -> float | None:
        if not len(self.validation):
            return None
        pairs = zip(self.layers, self._weights(), strict=True)
        layers = [TorchLayer(**(vars(layer) | {"weight": weight})) for layer, weight in pairs]
        architecture = self.recipe.architecture
        pixels = self.validation.fitted(architecture).pixels
        found = classes(self.torch, architecture, layers, pixels, self.torch.float32)
        return float((found == self.validation.labels).mean())

    def _identity(self) -> dict[str, str]:
        """Return what a checkpoint must have been made with to be gone on with."""
        identity = {"recipe": json.dumps(self.recipe.to_dict()), "images": self.data_sha256}
        return identity if self.cells is None else identity | {"cells": json.dumps(asdict(self.cells))}

    def save(self, path: Path) -> None:
        """Write everything to a file, whole or not at all."""
        content = {
            **self._identity(),
            "history": [asdict(status) for status in self.history],
            "layers": [
                {name: tensor.detach() for name, tensor in vars(layer).items()} for layer in self.layers
            ],
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "memory": None if self.memory is None else self.memory.state(),
        }
        part = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            with part.open("wb") as file:
                self.torch.save(content, file)
            part.replace(path)
        except OSError as error:
            raise SpinbnnError(
                f"checkpoint {path} cannot be written ({error.strerror}); name a file in a writable folder"
            ) from error
        finally:
            part.unlink(missing_ok=True)

    def resume(self, path: Path) -> None:
        """Take everything from a file that `save` wrote."""
        try:
            content = self.torch.load(path, weights_only=True)
            found = {key: content[key] for key in self._identity()}
        except Exception as error:  # what PyTorch raises for a file that is not its own is not documented
            raise SpinbnnError(
                f"{path} is not a checkpoint of a training run; delete it or name another file"
            ) from error
        for key, value in self._identity().items():
            if found[key] != value:
                raise SpinbnnError(
                    f"checkpoint {path} does not fit the {key}; delete it or name another file"
                )
        for layer, saved in zip(self.layers, content["layers"], strict=True):
            for name, tensor in vars(layer).items():
                tensor.detach().copy_(saved[name])
        self.optimizer.load_state_dict(content["optimizer"])
        self.generator.set_state(content["generator"])
        self.history = [Status(**status) for status in content["history"]]
        if self.memory is not None:
            self.memory.restore(content["memory"])

    def result(self) -> TrainedModel:
        """Return what was trained."""
        held = self.layers
        if self.memory is not None:
            pairs = zip(self.layers, self.memory.stored, strict=True)
            held = [TorchLayer(**(vars(layer) | {"weight": stored})) for layer, stored in pairs]
        layers = tuple(to_trained(plan, layer) for plan, layer in zip(self.plans, held, strict=True))
        return TrainedModel(
            self.recipe, layers, str(self.torch.__version__), self.data_sha256, tuple(self.history)
        )


def distorted(torch: Any, images: Any, recipe: Recipe, generator: Any) -> NDArray[np.uint8]:
    """Return images, uint8, each moved, turned, zoomed and slanted at random.

    `images` is a uint8 tensor [n, rows, columns], or [n, rows, columns, channels]. Nothing is drawn where the
    recipe changes no image.
    """
    if not (recipe.shift_pixels or recipe.rotation_degrees or recipe.zoom or recipe.shear):
        same: NDArray[np.uint8] = images.numpy()
        return same
    count, rows, columns = images.shape[:3]
    turn, zoom, shear, right, down = (torch.rand(5, count, generator=generator) * 2 - 1).unbind()
    angle = turn * math.radians(recipe.rotation_degrees)
    size = 1 + zoom * recipe.zoom
    cosine, sine = torch.cos(angle) * size, torch.sin(angle) * size
    # `affine_grid` takes 2 by 3 matrices in coordinates in which an image is 2 wide and 2 high.
    first = torch.stack([cosine, shear * recipe.shear - sine, right * recipe.shift_pixels * 2 / columns], 1)
    second = torch.stack([sine, cosine, down * recipe.shift_pixels * 2 / rows], 1)
    functional = torch.nn.functional
    grid = functional.affine_grid(
        torch.stack([first, second], 1), (count, 1, rows, columns), align_corners=False
    )
    planes = images.reshape(count, rows, columns, -1).permute(0, 3, 1, 2).float()
    moved = functional.grid_sample(planes, grid, align_corners=False).round()
    result: NDArray[np.uint8] = moved.permute(0, 2, 3, 1).reshape(images.shape).to(torch.uint8).numpy()
    return result


def black_or_white(torch: Any, images: NDArray[np.uint8], generator: Any) -> NDArray[np.uint8]:
    """Return images, uint8, each pixel 255 with a probability of pixel / 255, and otherwise 0."""
    drawn = torch.randint(0, 255, images.shape, generator=generator, dtype=torch.uint8).numpy()
    return np.where(drawn < images, np.uint8(255), np.uint8(0))
