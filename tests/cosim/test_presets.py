"""The networks of the literature through the RTL: every stored activation, logit, counter and clock."""

from dataclasses import replace
from functools import reduce
from pathlib import Path

import pytest

from spinbnn.golden.architectures import ARCHITECTURES, build_random
from spinbnn.golden.fitting import fit
from spinbnn.golden.geometry import Geometry
from spinbnn.golden.network import Network
from spinbnn.golden.operating_point import operating_point
from spinbnn.golden.placement import place
from spinbnn.sim import schedule
from spinbnn.sim.assets import SHIPPED_NETWORKS
from spinbnn.sim.datasets import bundled_images_for
from spinbnn.sim.job import run_jobs
from spinbnn.sim.named_networks import load_named, random_images
from spinbnn.sim.spec import RunJob, StallProfile

SIMULATORS = [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("verilator", "icarus")]
POINT = operating_point(0.01)
SMALL_ARRAY = Geometry(16, 32, rows=256, threshold_rows=8, input_words=16, activation_words=8)


def fitted(networks: list[Network], geometry: Geometry) -> Geometry:
    """Return a machine on which all networks fit."""
    return reduce(lambda machine, network: fit(network, machine), networks, geometry)


def job(network: Network, geometry: Geometry, build_dir: Path, images: int) -> RunJob:
    pixels = random_images(network, images)
    return RunJob(network, pixels, geometry, POINT, build_dir, loading="backdoor", seed=5)


@pytest.mark.parametrize("simulator", SIMULATORS)
@pytest.mark.parametrize(
    "names", [["digits"], pytest.param(["tfc", "lenet4", "sfc"], marks=pytest.mark.long)], ids="+".join
)
def test_small_ones_on_both_simulators(simulator: str, names: list[str], build_dir: Path) -> None:
    networks = [build_random(ARCHITECTURES[name], 7) for name in names]
    geometry = fitted(networks, SMALL_ARRAY)
    jobs = [job(network, geometry, build_dir, images=2) for network in networks]
    results = run_jobs([replace(each, simulator=simulator) for each in jobs])  # type: ignore[arg-type]
    assert [result.first_difference for result in results] == [None] * len(jobs)


@pytest.mark.long
@pytest.mark.verilator
@pytest.mark.timeout(1800)
def test_all_on_the_paper_s_array(build_dir: Path) -> None:
    networks = [build_random(architecture, 7) for architecture in ARCHITECTURES.values()]
    geometry = fitted(networks, Geometry())
    results = run_jobs(
        [job(network, geometry, build_dir, 1 if network.inputs > 10_000 else 3) for network in networks]
    )
    differences = {name: r.first_difference for name, r in zip(ARCHITECTURES, results, strict=True)}
    assert differences == dict.fromkeys(ARCHITECTURES)


@pytest.mark.long
@pytest.mark.verilator
def test_shipped_ones_programmed_through_the_front_door(build_dir: Path) -> None:
    networks = [load_named(Path(name)) for name in SHIPPED_NETWORKS]
    geometry = fitted(networks, Geometry())
    jobs = []
    for network in networks:
        images, _ = bundled_images_for(network)
        head = images.head(20)
        stalls = StallProfile(seed=3, image_idle=0.3, result_pause=0.3, program_idle=0.1)
        jobs.append(
            RunJob(network, head.pixels, geometry, POINT, build_dir, labels=head.labels, stalls=stalls)
        )
    results = run_jobs(jobs)
    assert [result.first_difference for result in results] == [None] * len(jobs)
    assert all(result.accuracy_ideal is not None and result.accuracy_ideal >= 0.8 for result in results)


def test_clocks_of_the_published_comparison() -> None:
    """LFC and CNV at 64 x 64: clocks by the loops' sum, and the share of the array's work that is real."""
    measured = {}
    for name in ("lfc", "cnv"):
        network = build_random(ARCHITECTURES[name], 7)
        placement = place(network, fit(network, Geometry()))
        run = schedule.predict_run_clocks(network, placement, images=4)
        clocks = schedule.steady_clocks_per_image(run.image_done, lanes=1)
        assert clocks is not None
        ratio = clocks / schedule.loop_clocks(placement)
        measured[name] = ratio, schedule.binary_operations(network) / (clocks * 64 * 64)
    assert measured["lfc"][0] <= 1.02
    assert measured["lfc"][1] >= 0.95
    assert measured["cnv"][1] >= 0.90
