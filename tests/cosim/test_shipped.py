"""The shipped network and real images on the default machine."""

from pathlib import Path

import pytest

from spinbnn.golden.geometry import Geometry
from spinbnn.golden.network_file import load_network
from spinbnn.golden.operating_point import POINTS
from spinbnn.sim.assets import MNIST_NETWORK
from spinbnn.sim.datasets import bundled_images
from spinbnn.sim.job import RunJob, run_job


@pytest.mark.verilator
def test_shipped_network_on_the_default_machine(build_dir: Path) -> None:
    data = bundled_images().head(10)
    stages: list[str] = []
    job = RunJob(
        network=load_network(MNIST_NETWORK),
        images=data.pixels,
        labels=data.labels,
        geometry=Geometry(),
        point=POINTS["1e-3"],
        build_dir=build_dir,
        seed=2**40 + 3,
        read_bit_energy_aj=700_000,
    )

    def progress(stage: str, done: int, total: int) -> None:
        assert 0 <= done <= total
        if stage not in stages:
            stages.append(stage)

    result = run_job(job, progress=progress)
    assert result.first_difference is None
    assert result.match
    assert result.compared["stored bits"] == 64 * 512 * 64
    assert result.compared["hidden activation words"] == 10 * 32
    assert result.compared["logits"] == 100
    assert result.compared["counters"] == 640
    assert result.accuracy_rtl == result.accuracy_golden
    assert result.run_clocks == result.run_clocks_predicted
    assert result.steady_clocks_per_image is not None
    assert result.steady_clocks_per_image <= 1.02 * result.loop_clocks_per_image
    assert sum(result.bits_wrong) > 0
    assert result.waves is None
    assert Path(result.junit).is_file()
    assert stages == ["generate", "build", "program", "images", "compare"]
