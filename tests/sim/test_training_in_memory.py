"""Training with weights in memory. Tests marked `train` need PyTorch."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spinbnn.golden.architectures import ARCHITECTURES, perceptron
from spinbnn.golden.errors import SpinbnnError
from spinbnn.sim.datasets import save_images
from spinbnn.sim.training import Cells, Recipe, Status, TrainedInMemory, export_tested, train, train_in_memory
from spinbnn.sim.training.weight_memory import ROW_CELLS, WeightMemory
from tests.sim.stripes import stripes

TINY = Recipe(
    "tiny",
    perceptron("tiny", "here", (80, 24, 16, 3), 8, False),
    epochs=3,
    batch_size=20,
    shift_pixels=0.0,
    rotation_degrees=0.0,
    zoom=0.0,
    shear=0.0,
)


def memory(cells: Cells, rows: int = 500, columns: int = 100) -> WeightMemory:
    """Return a memory of which every second cell should hold +1, written once."""
    import torch

    wanted = torch.tensor([1.0, -1.0]).repeat(rows, columns // 2)
    return WeightMemory(torch, cells, [wanted], torch.Generator().manual_seed(1))


def within(count: int, of: int, share: float) -> bool:
    return abs(count - of * share) <= 4 * (of * share * (1 - share)) ** 0.5


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"p_fail_01": (1.1,)}, "p_fail_01 must be 1 probabilities from 0 to 1, not (1.1,)"),
        ({"p_fail_10": (0.1, 0.1)}, "p_fail_10 must be 1 probabilities from 0 to 1, not (0.1, 0.1)"),
        ({"fractions": (-1.0,)}, "fractions must be 1 probabilities from 0 to 1, not (-1.0,)"),
    ],
)
def test_impossible_cells(change, problem):
    with pytest.raises(SpinbnnError) as caught:
        Cells(**({"p_fail_01": (0.1,), "p_fail_10": (0.1,)} | change))
    assert str(caught.value) == problem


@pytest.mark.train
def test_a_blank_memory_is_written_where_it_should_change():
    held = memory(Cells((0.25,), (0.0,)))
    writes = held.writes
    assert writes.switched_01 + writes.failed_01 == 25_000
    assert (writes.switched_10, writes.failed_10, writes.updates) == (0, 0, 1)
    assert within(writes.failed_01, 25_000, 0.25)
    assert int((held.stored[0] > 0).sum()) == writes.switched_01
    assert held.pulsed[0].sum() == writes.pulses == 25_000
    assert held.pulsed[0][:, 1::2].max() == 0
    assert writes.redundant == 500 * 2 * ROW_CELLS - 25_000  # 100 weights are two rows


@pytest.mark.train
@pytest.mark.parametrize("retry", [True, False])
def test_directions_fail_at_their_own_rates_and_failures_wait(retry):
    held = memory(Cells((0.25,), (0.1,), retry=retry))
    first = held.writes.switched_01
    wanted = held.stored[0].clone()
    wanted[:, ::2] = -1
    held.update([wanted])
    writes = held.writes
    assert writes.switched_10 + writes.failed_10 == first  # of the others -1 is already there
    assert within(writes.failed_10, first, 0.1)
    left = writes.failed_10
    held.update([wanted])
    again = writes.switched_10 + writes.failed_10 - first
    assert again == (left if retry else 0)
    assert writes.updates == 3
    assert int((held.stored[0] > 0).sum()) == (first - writes.switched_10)


@pytest.mark.train
def test_a_sign_that_turns_back_asks_again_when_written_once():
    held = memory(Cells((0.5,), (0.0,), retry=False))
    wanted = held.stored[0].clone()
    wanted[:, ::2] = 1
    missing = 25_000 - held.writes.switched_01
    held.update([-wanted])
    held.update([wanted])
    assert held.writes.failed_01 + held.writes.switched_01 > 25_000 + missing


@pytest.mark.train
def test_a_cell_keeps_its_class():
    cells = Cells((0.0, 1.0), (0.0, 1.0), (0.7, 0.3))
    held = memory(cells)
    assert within(held.writes.failed_01, 25_000, 0.3)
    weak = (held.stored[0][:, ::2] < 0).clone()
    wanted = -held.stored[0]
    for _ in range(3):
        held.update([wanted])
    assert within(int((held.stored[0] != wanted).sum()), 50_000, 0.3)
    assert (held.stored[0][:, ::2] < 0)[weak].all()


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    save_images(stripes(310, 1, classes=2), tmp_path / "train.npz")
    return tmp_path


def equal(one: TrainedInMemory, other: TrainedInMemory) -> bool:
    pairs = zip(one.model.layers, other.model.layers, strict=True)
    layers = all(np.array_equal(getattr(a, name), getattr(b, name)) for a, b in pairs for name in vars(a))
    return layers and replace(one, model=other.model) == other


@pytest.mark.train
def test_writes_that_never_fail_change_nothing(data_dir, tmp_path):
    plain = train(TINY, data_dir, tmp_path / "plain")
    made = train_in_memory(TINY, Cells((0.0,), (0.0,)), data_dir, tmp_path / "memory")
    assert equal(made, replace(made, model=plain))
    assert made.wrong_share == 0


@pytest.mark.train
@pytest.mark.parametrize("retry", [True, False])
def test_a_network_learns_with_failing_writes_and_resumes(retry, data_dir, tmp_path):
    cells = Cells((0.2, 0.8), (0.3, 0.9), (0.8, 0.2), retry)
    whole = train_in_memory(TINY, cells, data_dir, tmp_path / "whole")
    _, outcome = export_tested(whole.model, stripes(200, 2, classes=2))
    assert outcome.equal == 200
    assert outcome.accuracy > 0.9
    assert whole.writes.updates == 3 * 15 + 1
    assert whole.wrong_share < 0.01 if retry else 0.1 < whole.wrong_share < 0.5
    assert whole.most_pulses > whole.mean_pulses > 0.5

    def interrupt(status: Status) -> None:
        if (status.epoch, status.step) == (1, 3):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_in_memory(TINY, cells, data_dir, tmp_path / "stopped", interrupt)
    assert equal(train_in_memory(TINY, cells, data_dir, tmp_path / "stopped"), whole)
    with pytest.raises(SpinbnnError, match="does not fit the cells"):
        train_in_memory(TINY, Cells((0.1,), (0.1,)), data_dir, tmp_path / "whole")


def test_weights_of_several_bits_are_refused(tmp_path):
    recipe = replace(TINY, architecture=ARCHITECTURES["nin"])
    with pytest.raises(SpinbnnError) as caught:
        train_in_memory(recipe, Cells((0.1,), (0.1,)), tmp_path, tmp_path / "checkpoint")
    assert str(caught.value) == ("recipe 'tiny': training in memory is for weights of 1 bit, not of several")
