"""A job and its result as files: what crosses from `run_job` to the simulator's process and back."""

from __future__ import annotations

import dataclasses
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spinbnn.golden.activation_memory import ActivationPoint
from spinbnn.golden.chip import Chip
from spinbnn.golden.geometry import Geometry
from spinbnn.golden.network_file import load_network, save_network
from spinbnn.golden.operating_point import OperatingPoint
from spinbnn.golden.point_map import PointRange
from spinbnn.sim.spec import Pass, RunJob, StallProfile

DIRECTORY_VARIABLE = "SPINBNN_RUN_DIRECTORY"
_SPEC, _NETWORK, _IMAGES, _LABELS = "job.json", "network.npz", "images.npy", "labels.npy"
_RESULT, _PROGRESS = "result.json", "progress"
_PROGRESS_SECONDS = 0.2


@dataclass(frozen=True)
class CaseDirectory:
    """The files of one job in a run.

    Parameters
    ----------
    path : Path
    """

    path: Path

    def write_job(self, job: RunJob) -> None:
        """Write what the simulation needs of a job."""
        self.path.mkdir(parents=True, exist_ok=True)
        save_network(job.network, self.path / _NETWORK)
        np.save(self.path / _IMAGES, job.images)
        if job.labels is not None:
            np.save(self.path / _LABELS, job.labels)
        spec = {
            "geometry": job.geometry.to_dict(),
            "point": dataclasses.asdict(job.point),
            "seed": job.seed,
            "read_bit_energy_aj": job.read_bit_energy_aj,
            "loading": job.loading,
            "simulator": job.simulator,
            "stalls": None if job.stalls is None else dataclasses.asdict(job.stalls),
            "ranges": [dataclasses.asdict(each) for each in job.ranges],
            "chip": dataclasses.asdict(job.chip),
            "passes": [dataclasses.asdict(each) for each in job.passes],
            "activation_point": dataclasses.asdict(job.activation_point),
        }
        (self.path / _SPEC).write_text(json.dumps(spec))

    def read_job(self) -> RunJob:
        """Return the job; its build directory is this case's."""
        spec = json.loads((self.path / _SPEC).read_text())
        labels = self.path / _LABELS
        return RunJob(
            network=load_network(self.path / _NETWORK),
            images=np.load(self.path / _IMAGES),
            labels=np.load(labels) if labels.exists() else None,
            geometry=Geometry.from_dict(spec["geometry"]),
            point=_point(spec["point"]),
            build_dir=self.path,
            seed=spec["seed"],
            read_bit_energy_aj=spec["read_bit_energy_aj"],
            simulator=spec["simulator"],
            loading=spec["loading"],
            stalls=None if spec["stalls"] is None else StallProfile(**spec["stalls"]),
            ranges=tuple(PointRange(**{**each, "point": _point(each["point"])}) for each in spec["ranges"]),
            chip=Chip(**_with_tuples(spec["chip"])),
            passes=tuple(Pass(**{**each, "point": _point(each["point"])}) for each in spec["passes"]),
            activation_point=ActivationPoint(**spec["activation_point"]),
        )

    def write_result(self, result: dict[str, Any]) -> None:
        """Write the result, plain JSON types."""
        (self.path / _RESULT).write_text(json.dumps(result))

    def read_result(self) -> dict[str, Any] | None:
        """Return the result; None if the simulation did not get that far."""
        try:
            result: dict[str, Any] = json.loads((self.path / _RESULT).read_text())
        except FileNotFoundError:
            return None
        return result


def _point(values: dict[str, Any]) -> OperatingPoint:
    return OperatingPoint(**_with_tuples(values))


def _with_tuples(values: dict[str, Any]) -> dict[str, Any]:
    """Return a dictionary in which JSON's lists are tuples again."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


class ProgressFile:
    """How far a simulation is: written in its process, read outside.

    Parameters
    ----------
    directory : Path
        Of the run.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / _PROGRESS
        self._next = 0.0

    def write(self, stage: str, done: int, total: int) -> None:
        """Say how far a stage is; most calls do nothing, so that it may be called often."""
        now = time.monotonic()
        if done < total and now < self._next:
            return
        self._next = now + _PROGRESS_SECONDS
        scratch = self._path.with_suffix(".new")
        scratch.write_text(f"{stage} {done} {total}")
        scratch.replace(self._path)

    def read(self) -> tuple[str, int, int] | None:
        """Return stage, done and total; None if nothing was written yet."""
        try:
            stage, done, total = self._path.read_text().split()
        except FileNotFoundError:
            return None
        return stage, int(done), int(total)
