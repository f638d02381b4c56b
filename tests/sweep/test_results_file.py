"""The results file: what goes in comes out, other tools read it, and what is no results file is refused."""

import sqlite3
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from spinbnn.golden.errors import SweepError
from spinbnn.sim.studies.study import Row
from spinbnn.sim.sweep import log_file, results_file
from spinbnn.sim.sweep.results_file import Store

ABOUT = {"study": "example", "title": "An example", "command": "spinbnn study example", "quick": "true"}
SETTINGS = [results_file.canonical({"rate": rate, "seed": seed}) for rate in (0.0, 0.1) for seed in (1, 2)]


def rows_of(number: int) -> list[Row]:
    """Return rows with a column of each kind, with nothing in some places."""
    return [
        {
            "rate": 0.1 * number,
            "count": 2**62 + number,
            "half": 2 if number == 0 else 2.5,
            "text": None if number == 0 else f"a 'text' {number}",
            "right": None if number == 0 else number % 2 == 1,
            "image": image,
        }
        for image in range(1 + number % 2)
    ]


ROWS = [row for number in range(4) for row in rows_of(number)]


def written(path: Path, order: Sequence[int] = range(4), about: Mapping[str, str] = ABOUT) -> Path:
    Store.create(path, {"data": "{}", **about}, SETTINGS)
    with Store.opened(path) as store:
        for number in order:
            store.add(number, rows_of(number), "abc")
        if len(order) == len(SETTINGS):
            store.complete()
    return path


def test_what_is_written_is_read(tmp_path: Path) -> None:
    results = results_file.read(written(tmp_path / "a.sqlite"))
    assert results.rows == ROWS
    assert [[type(value) for value in row.values()] for row in results.rows[1:]] == [
        [float, int, float, str, bool, int]
    ] * 5
    assert list(results.rows[0]) == ["rate", "count", "half", "text", "right", "image"]
    assert results.settings[2] == {"rate": 0.1, "seed": 1}
    assert results.about == ABOUT | {"data": "{}", "commit": "abc"}
    assert (results.study, results.quick, results.data) == ("example", True, {})
    assert results.seconds is None


def test_order_of_arrival_leaves_no_trace(tmp_path: Path) -> None:
    one = written(tmp_path / "one.sqlite").read_bytes()
    assert written(tmp_path / "two.sqlite", [3, 1, 0, 2]).read_bytes() == one
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.sqlite", "two.sqlite"]


@pytest.mark.parametrize("order", [range(4), [2, 0]], ids=["finished", "unfinished"])
def test_other_tools_read_it(tmp_path: Path, order: Sequence[int]) -> None:
    path = written(tmp_path / "a.sqlite", order)
    query = 'SELECT setting_number, "count", "right" FROM rows JOIN settings ON number = setting_number'
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
        found = sorted(connection.execute(f"{query} WHERE finished AND image = 0"))
        assert found == sorted((n, rows_of(n)[0]["count"], rows_of(n)[0]["right"]) for n in order)
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


def test_finished_files_declare_the_kinds_of_their_columns(tmp_path: Path) -> None:
    with sqlite3.connect(written(tmp_path / "a.sqlite")) as connection:
        found = connection.execute("SELECT name, lower(type) FROM pragma_table_info('rows')").fetchall()
    connection.close()
    kinds = ["integer", "real", "integer", "real", "text", "boolean", "integer"]
    assert [kind for _, kind in found] == kinds


def test_a_setting_is_never_counted_twice(tmp_path: Path) -> None:
    with Store.opened(written(tmp_path / "a.sqlite", [1])) as store:
        with pytest.raises(SweepError, match="setting 1 must be measured once"):
            store.add(1, rows_of(1), None)
        assert store.rows() == rows_of(1)
        assert store.finished() == {1: "abc"}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "setting 1 must give at least one row"),
        ([{"a": 1}], "setting 1: a row must have the names a, b, as the others do, not a"),
        ([{"a": 1, "b": 1}], "setting 1: b must have one kind in all rows, not text and integer"),
        ([{"a": True, "b": "x"}], "setting 1: a must have one kind in all rows, not integer and boolean"),
        ([{"a": float("nan"), "b": "x"}], "setting 1: a must be finite, or None, not nan"),
        ([{"a": 2**63, "b": "x"}], "setting 1: a must be an integer of 64 bits"),
        ([{"a": [1], "b": "x"}], "setting 1: a must be int, float, str, bool or None, not list"),
        ([{"a": 1, "b": "x"}, {"a": 1}], "setting 1: a row must have the names"),
    ],
)
def test_rows_that_do_not_fit_leave_nothing_behind(tmp_path: Path, rows: Sequence[Row], message: str) -> None:
    path = tmp_path / "a.sqlite"
    Store.create(path, ABOUT, SETTINGS)
    with Store.opened(path) as store:
        store.add(0, [{"a": 1, "b": "x"}], None)
        with pytest.raises(SweepError, match=message):
            store.add(1, rows, None)
        assert store.rows() == [{"a": 1, "b": "x"}]
        assert store.finished() == {0: None}


def test_what_was_refused_is_forgotten(tmp_path: Path) -> None:
    """Neither its names nor its kinds are asked of what comes after it."""
    Store.create(tmp_path / "a.sqlite", ABOUT, SETTINGS)
    with Store.opened(tmp_path / "a.sqlite") as store:
        with pytest.raises(SweepError, match="must have the names a"):
            store.add(0, [{"a": 1}, {"b": 1}], None)
        store.add(0, [{"c": None}], None)
        with pytest.raises(SweepError, match="c must have one kind"):
            store.add(1, [{"c": 1}, {"c": "text"}], None)
        store.add(1, [{"c": "text"}], None)
        assert store.rows() == [{"c": None}, {"c": "text"}]


def test_a_column_of_the_file_itself_is_refused(tmp_path: Path) -> None:
    Store.create(tmp_path / "a.sqlite", ABOUT, SETTINGS)
    with Store.opened(tmp_path / "a.sqlite") as store:
        with pytest.raises(SweepError, match="must have the name setting_number"):
            store.add(0, [{"setting_number": 1}], None)


def test_settings_that_no_file_can_hold_are_refused() -> None:
    with pytest.raises(SweepError, match=r"setting {'rate': inf}: rate must be finite"):
        results_file.canonical({"rate": float("inf")})
    assert results_file.canonical({"b": 1, "a": "µ"}) == '{"a":"µ","b":1}'


def test_unfinished_and_foreign_files_are_refused(tmp_path: Path) -> None:
    unfinished = written(tmp_path / "a.sqlite", [1, 2])
    with pytest.raises(
        SweepError, match=r"\(2 of 4 settings\): go on with spinbnn study example -o .*a.sqlite"
    ):
        results_file.read(unfinished)
    with pytest.raises(SweepError, match="there is no such file"):
        results_file.read(tmp_path / "none.sqlite")
    with pytest.raises(SweepError, match="there is no such file"):
        results_file.read(tmp_path)
    (tmp_path / "text").write_text("not a database, but long enough to be looked at " * 100)
    with pytest.raises(SweepError, match="file is not a database"):
        results_file.read(tmp_path / "text")
    (tmp_path / "empty").write_bytes(b"")
    with pytest.raises(SweepError, match="it is another database"):
        results_file.read(tmp_path / "empty")
    newer = written(tmp_path / "newer.sqlite")
    with sqlite3.connect(newer) as connection:
        connection.execute("UPDATE about SET value = 'spinbnn study results 9' WHERE key = 'format'")
    connection.close()
    with pytest.raises(SweepError, match="its format is 'spinbnn study results 9'"):
        results_file.read(newer)


def test_times_come_from_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two sittings of 3 and 2 seconds; setting 1 was measured again after a crash that cut a line short."""
    now = iter([100.0, 101.0, 103.0, 200.0, 202.0, 203.0, 207.0])
    monkeypatch.setattr(time, "time", lambda: next(now))
    path = log_file.path_of(written(tmp_path / "a.sqlite"))
    assert path.name == "a.log.jsonl"
    with log_file.opened(path) as log:
        log.write("begin", processes=2)
        log.write("setting", number=0, seconds=1.0)
        log.write("setting", number=1, seconds=2.5)
        with pytest.raises(SweepError, match="held by another sweep"):
            with log_file.opened(path):
                pass
    with path.open("a") as file:
        file.write('{"event": "setting", "number": 2, "sec')
    with log_file.opened(path) as log:
        log.write("begin", processes=2)
        log.write("setting", number=1, seconds=2.0)
    assert log_file.read(path) == log_file.Times(2, 3.0, 5.0)
    assert results_file.read(tmp_path / "a.sqlite").seconds is None  # of two settings nothing is known
    with log_file.opened(path) as log:
        for number in (2, 3):
            log.write("setting", number=number, seconds=0.5)
    results = results_file.read(tmp_path / "a.sqlite")
    assert (results.seconds, results.wall_seconds) == (4.0, 10.0)
