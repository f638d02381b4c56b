"""What is seen of the machine while it runs: the wrapper's logs as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spinbnn.golden.encoding import Words
from spinbnn.golden.geometry import Geometry
from spinbnn.sim.engine_schedule import STALLS
from spinbnn.sim.testbench.files import Log
from spinbnn.sim.testbench.wrapper import IMAGE_LOG, LAYER_LOG, RESULT_LOG, activation_log

Clocks = NDArray[np.int64]

_CLOCK_BITS = 64
_STALL_BITS = 32


@dataclass(frozen=True)
class ResultBeats:
    """Beats of the result stream, in order.

    Parameters
    ----------
    data : uint32 [n]
    last : uint8 [n]
    clocks : int64 [n]
        In which each was accepted.
    """

    data: NDArray[np.uint32]
    last: NDArray[np.uint8]
    clocks: Clocks


@dataclass(frozen=True)
class ActivationWrites:
    """Words written into a lane's activation memory, in order.

    Parameters
    ----------
    clocks : int64 [n]
        Number of the clock in which each was written.
    addresses : int64 [n]
    words : uint64 [n, L]
    """

    clocks: Clocks
    addresses: NDArray[np.int64]
    words: Words


@dataclass(frozen=True)
class LayerSpans:
    """What the engine did for each layer of each batch, in order.

    Parameters
    ----------
    beats : int64 [n, 2]
        Clocks of its first and its last beat.
    stalls : int64 [n, causes]
        Clocks in which it waited, by cause.
    """

    beats: Clocks
    stalls: Clocks


@dataclass(frozen=True)
class RunObservation:
    """What was seen of a run; clocks are the wrapper's.

    Parameters
    ----------
    image_clocks : int64 [n]
        In which each beat of the image stream was accepted.
    results : ResultBeats
    activations : list of ActivationWrites
        Of each lane.
    layers : LayerSpans
    """

    image_clocks: Clocks
    results: ResultBeats
    activations: list[ActivationWrites]
    layers: LayerSpans


class Logs:
    """The wrapper's logs, which are read from where the last reading ended.

    Parameters
    ----------
    directory : Path
        Where the simulator runs.
    geometry : Geometry
    """

    def __init__(self, directory: Path, geometry: Geometry) -> None:
        address_bits = max(1, (geometry.activation_words - 1).bit_length())
        writes = (_CLOCK_BITS, address_bits, geometry.word_bits)
        self._images = Log(directory / IMAGE_LOG, (_CLOCK_BITS,))
        self._results = Log(directory / RESULT_LOG, (_CLOCK_BITS, 32, 1))
        self._activations = [Log(directory / activation_log(lane), writes) for lane in range(geometry.lanes)]
        self._layers = Log(directory / LAYER_LOG, (_CLOCK_BITS, _CLOCK_BITS, *[_STALL_BITS] * len(STALLS)))

    def take(self) -> RunObservation:
        """Return what was logged since the last call; the wrapper must have flushed its logs.

        Raises
        ------
        UnknownBitsError
            If a bit is neither 0 nor 1.
        """
        clocks, data, last = (column[:, 0] for column in self._results.take())
        spans = np.concatenate(self._layers.take(), axis=1).astype(np.int64)
        return RunObservation(
            self._images.take()[0][:, 0].astype(np.int64),
            ResultBeats(data.astype(np.uint32), last.astype(np.uint8), clocks.astype(np.int64)),
            [_writes(*log.take()) for log in self._activations],
            LayerSpans(spans[:, :2], spans[:, 2:]),
        )


def _writes(clocks: Words, addresses: Words, words: Words) -> ActivationWrites:
    return ActivationWrites(clocks[:, 0].astype(np.int64), addresses[:, 0].astype(np.int64), words)
