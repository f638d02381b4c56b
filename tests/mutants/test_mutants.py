"""The table of faults fits the source, and some of its mutants are killed; `make mutants` tries them all."""

from pathlib import Path

import pytest

from tests.mutants import __main__ as command
from tests.mutants.faults import FAULTS, Fault
from tests.mutants.mutant import SOURCE, StaleFaultError, Verdict, apply, examine


def test_names_are_unique() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) >= 24


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_fault_fits_the_source(fault: Fault) -> None:
    assert (SOURCE / fault.file).read_text(encoding="utf-8").count(fault.old) == 1
    assert fault.new != fault.old
    assert "\n" not in fault.old + fault.new


@pytest.mark.parametrize("text", ["", "plane + plane"])
def test_stale_fault_is_an_error(text: str, tmp_path: Path) -> None:
    (tmp_path / "loader.py").write_text(text)
    with pytest.raises(
        StaleFaultError, match=r"^late: 'plane' must occur once in loader\.py, not [02] times$"
    ):
        apply(Fault("late", "loader.py", "plane", "lane", ""), tmp_path)


@pytest.mark.icarus
@pytest.mark.parametrize("name", ["popcount-bit", "counter-high-half"])
def test_mutant_is_killed(name: str) -> None:
    (fault,) = (fault for fault in FAULTS if fault.name == name)
    verdict = examine(fault, "icarus")
    assert verdict.problem is None
    assert verdict.difference is not None
    assert verdict.difference.startswith("5x24, certain failure: ")


KILLED, SURVIVES = Verdict("logit is 1, golden says 2", None, 1.0), Verdict(None, None, 1.0)
BROKEN = Verdict(None, "SyntaxError", 1.0)


@pytest.mark.parametrize(
    ("unmutated", "mutants", "code", "says"),
    [
        (SURVIVES, [KILLED, KILLED], 0, "2 of 2 mutants killed"),
        (SURVIVES, [KILLED, SURVIVES], 1, "1 of 2 mutants killed"),
        (SURVIVES, [BROKEN, KILLED], 1, "1 of 2 mutants killed"),
        (KILLED, [], 1, "The hardware fails as it is: no mutant says anything."),
        (BROKEN, [], 1, "The hardware fails as it is: no mutant says anything."),
    ],
)
def test_exit_code(
    unmutated: Verdict,
    mutants: list[Verdict],
    code: int,
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    names = ["argmax-last", "ready-late"]
    verdicts = dict(zip(names, mutants, strict=False))

    def pretend(fault: Fault | None, simulator: str) -> Verdict:
        return unmutated if fault is None else verdicts[fault.name]

    monkeypatch.setattr(command, "examine", pretend)
    assert command.main([argument for name in names for argument in ("--only", name)]) == code
    assert says in capsys.readouterr().out.splitlines()[-1]
