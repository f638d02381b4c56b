"""Random pauses of the streams, drawn in bulk from a profile and its seed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spinbnn.golden.network import Network
from spinbnn.golden.placement import Placement
from spinbnn.sim.schedule import StreamPauses, image_beats
from spinbnn.sim.spec import StallProfile

_STREAMS = ("image", "program", "result")


def pause_lengths(probability: float, seed: int, stream: str, beats: int) -> NDArray[np.int64]:
    """Return the clocks of the pause at each beat of a stream, int64 [beats].

    Parameters
    ----------
    probability : float
        That in a clock the pause goes on; 0 for no pauses, below 1.
    seed : int
        From 0 on.
    stream : {"image", "program", "result"}
        Streams of one seed pause apart.
    beats : int
    """
    if not 0 <= probability < 1:
        raise ValueError(f"a pause's probability must be from 0 to below 1, not {probability}")
    if not probability:
        return np.zeros(beats, dtype=np.int64)
    rng = np.random.default_rng([seed, _STREAMS.index(stream)])
    return rng.geometric(1 - probability, beats) - 1


def stream_pauses(
    profile: StallProfile | None, network: Network, placement: Placement, images: int
) -> StreamPauses:
    """Return how a profile holds back the streams of a run; without one, not at all."""
    profile = profile or StallProfile()
    of_images = images * image_beats(network, placement)
    of_results = images * (network.outputs + 1)
    return StreamPauses(
        pause_lengths(profile.image_idle, profile.seed, "image", of_images),
        pause_lengths(profile.result_pause, profile.seed, "result", of_results),
    )
