"""The results file of a study: an SQLite database that other tools read, too.

Tables:

- ``rows``: the measurements, a column for each of their names, and ``setting_number``
- ``settings``: ``number``, ``setting`` (JSON), ``finished`` (0 or 1) and ``source_commit`` it was measured at
- ``about``: ``key`` and ``value``, such as the study, its options and the versions it was measured with
- ``columns``: ``name`` and ``kind`` of each column of ``rows``: integer, real, text or boolean

While a sweep runs, each finished setting is a transaction of its own. When all are there, the file is
written anew in the order of the settings. What depends on time or machine is in the log beside it
(`spinbnn.sim.sweep.log_file`), so that a sweep gives the same bytes however often it was interrupted.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from spinbnn.golden.errors import SweepError
from spinbnn.sim.studies.study import Row, Scalar, Setting
from spinbnn.sim.sweep import log_file

FORMAT = "spinbnn study results 1"
"""The value of ``about`` under "format"; its number changes with the tables."""

_SCHEMA = """
CREATE TABLE about (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE settings (
    number INTEGER PRIMARY KEY,
    setting TEXT NOT NULL UNIQUE,
    finished INTEGER NOT NULL,
    source_commit TEXT
);
CREATE TABLE columns (position INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, kind TEXT);
"""

_NUMBER = "setting_number"
_KINDS = {int: "integer", float: "real", str: "text", bool: "boolean"}
_BUSY_SECONDS = 60.0  # another tool may be reading


@dataclass(frozen=True)
class Results:
    """What a results file holds.

    Attributes
    ----------
    path : Path
    about : mapping of str to str
        "study", "title", "command", "quick" ("true" or "false"), "data" (JSON: the hashes of the training and
        test images of each data set), "spinbnn", "numpy", "torch" (where networks are trained), "commit"
        (where known).
    settings : sequence of Setting
        In the study's order.
    rows : sequence of Row
        In the order of the settings.
    seconds : float or None
        What all settings took together, each in its process; None without the log of all.
    wall_seconds : float or None
        How long the sweep ran, all its sittings together; None without the log of all.
    """

    path: Path
    about: Mapping[str, str]
    settings: Sequence[Setting]
    rows: Sequence[Row]
    seconds: float | None
    wall_seconds: float | None

    @property
    def study(self) -> str:
        """The study's name."""
        return self.about["study"]

    @property
    def quick(self) -> bool:
        """Whether it was run with fewer points, seeds and epochs."""
        return self.about["quick"] == "true"

    @property
    def data(self) -> dict[str, dict[str, str]]:
        """Data sets it was given, each with the hashes of its "train" and "test" images."""
        data: dict[str, dict[str, str]] = json.loads(self.about["data"])
        return data


def read(path: Path) -> Results:
    """Read the results of a finished study.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    Results

    Raises
    ------
    SweepError
        If the file is not there, is no results file, or is unfinished.
    """
    with Store.opened(path) as store:
        done, total = len(store.finished()), len(store.settings())
        about = store.about()
        if not store.is_complete():
            raise SweepError(
                f"{path} is unfinished ({done} of {total} settings): go on with {about['command']} -o {path}"
            )
        times = log_file.read(log_file.path_of(path))
        if times is not None and times.settings != total:  # of another sweep, or of a part of this one
            times = None
        return Results(
            path=path,
            about={key: value for key, value in about.items() if key not in ("format", "complete")},
            settings=[json.loads(text) for text in store.settings()],
            rows=store.rows(),
            seconds=None if times is None else times.seconds,
            wall_seconds=None if times is None else times.wall_seconds,
        )


def canonical(setting: Setting) -> str:
    """Return a setting as JSON, the same text for equal settings.

    Raises
    ------
    SweepError
        If it holds what a results file cannot.
    """
    for name, value in setting.items():
        _kind(name, value, f"setting {dict(setting)}")
    return json.dumps(dict(setting), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


class Store:
    """An open results file.

    Parameters
    ----------
    path : Path
        As errors name it.
    connection : sqlite3.Connection
        Without transactions of its own.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection

    @classmethod
    @contextlib.contextmanager
    def opened(cls, path: Path) -> Iterator[Store]:
        """Open a results file; an SQLite error, there or later, becomes one line.

        Raises
        ------
        SweepError
            If it is not there or is no results file.
        """
        if not path.is_file():
            raise SweepError(f"{path} must be a results file of a study; there is no such file")
        with _connected(path, "rw") as connection:
            store = cls(path, connection)
            found = store.about().get("format") if store._has("about") else None
            if found != FORMAT:
                reason = "it is another database" if found is None else f"its format is '{found}'"
                raise SweepError(f"{path} must be a results file of a study ('{FORMAT}'); {reason}")
            yield store

    @classmethod
    def create(cls, path: Path, about: Mapping[str, str], settings: Sequence[str]) -> None:
        """Write the results file of a study of which nothing is measured yet; what is there is replaced.

        Parameters
        ----------
        path : Path
        about : mapping
        settings : sequence of str
            Of all settings, as `canonical` gives them.
        """
        with _replacing(path) as store:
            store._begin(about, settings)

    def about(self) -> dict[str, str]:
        """Return what is known of the study."""
        return dict(self._connection.execute("SELECT key, value FROM about ORDER BY key"))

    def is_complete(self) -> bool:
        """Return whether all settings are there, in their order."""
        return "complete" in self.about()

    def settings(self) -> list[str]:
        """Return all settings, as JSON, in the study's order."""
        return [text for (text,) in self._connection.execute("SELECT setting FROM settings ORDER BY number")]

    def finished(self) -> dict[int, str | None]:
        """Return the numbers of the finished settings, and the commits they were measured at."""
        query = "SELECT number, source_commit FROM settings WHERE finished ORDER BY number"
        return dict(self._connection.execute(query))

    def rows(self) -> list[Row]:
        """Return the rows of all finished settings, in the settings' order."""
        return [row for _, row in self._numbered_rows()]

    def add(self, number: int, rows: Sequence[Row], commit: str | None) -> None:
        """Add the rows of a setting, all or none, in a transaction of its own.

        Raises
        ------
        SweepError
            If the setting is finished already, or its rows do not fit those of the others.
        """
        with _transaction(self._connection):
            self._add(number, rows, commit)

    def complete(self) -> None:
        """Write the file anew, in the settings' order; all settings must be finished."""
        finished = self.finished()
        commits = list(dict.fromkeys(commit for commit in finished.values() if commit is not None))
        about = self.about() | {"complete": "true"} | ({"commit": ", ".join(commits)} if commits else {})
        with _replacing(self.path) as fresh:
            fresh._begin(about, self.settings())
            fresh._declare(self._kinds())
            for number, rows in itertools.groupby(self._numbered_rows(), key=lambda pair: pair[0]):
                fresh._add(number, [row for _, row in rows], finished[number])

    def _numbered_rows(self) -> Iterator[tuple[int, Row]]:
        kinds = self._kinds()
        if not kinds:
            return
        names = ", ".join(map(_quoted, kinds))
        query = f"SELECT {_NUMBER}, {names} FROM rows ORDER BY {_NUMBER}, rowid"
        for number, *values in self._connection.execute(query):
            pairs = zip(kinds.items(), values, strict=True)
            yield number, {name: _restored(value, kind) for (name, kind), value in pairs}

    def _begin(self, about: Mapping[str, str], settings: Sequence[str]) -> None:
        for statement in _SCHEMA.split(";"):
            self._connection.execute(statement)
        self._connection.executemany(
            "INSERT INTO about VALUES (?, ?)", sorted({**about, "format": FORMAT}.items())
        )
        self._connection.executemany("INSERT INTO settings VALUES (?, ?, 0, NULL)", enumerate(settings))

    def _declare(self, kinds: Mapping[str, str | None]) -> None:
        """Make the table of rows, with the kinds of its columns as far as they are known."""
        declared = ", ".join(f"{_quoted(name)} {kind or ''}".rstrip() for name, kind in kinds.items())
        self._connection.execute(
            f"CREATE TABLE rows ({_NUMBER} INTEGER NOT NULL REFERENCES settings (number), {declared})"
        )
        self._connection.executemany(
            "INSERT INTO columns VALUES (?, ?, ?)",
            [(position, name, kind) for position, (name, kind) in enumerate(kinds.items())],
        )

    def _add(self, number: int, rows: Sequence[Row], commit: str | None) -> None:
        self._fit(rows, f"setting {number}")
        kinds = self._kinds()
        changed = self._connection.execute(
            "UPDATE settings SET finished = 1, source_commit = ? WHERE number = ? AND NOT finished",
            (commit, number),
        )
        if changed.rowcount != 1:
            raise SweepError(f"{self.path}: setting {number} must be measured once; it is finished already")
        places = ", ".join("?" * (1 + len(kinds)))
        self._connection.executemany(
            f"INSERT INTO rows VALUES ({places})",
            [(number, *(row[name] for name in kinds)) for row in rows],
        )

    def _fit(self, rows: Sequence[Row], where: str) -> None:
        """See that rows fit the columns, which the first rows make; learn kinds that were not known."""
        if not rows:
            raise SweepError(f"{where} must give at least one row")
        kinds = self._kinds()
        if not kinds:
            # Columns of a growing table have no declared kind, for SQLite would convert what it is given.
            kinds = dict.fromkeys(rows[0])
            if _NUMBER in kinds:
                raise SweepError(f"{where}: no column of a row must have the name {_NUMBER}")
            self._declare(kinds)
        for row in rows:
            if row.keys() != kinds.keys():
                raise SweepError(
                    f"{where}: a row must have the names {', '.join(kinds)}, as the others do, "
                    f"not {', '.join(row)}"
                )
            for name, value in row.items():
                kind = _joined(kinds[name], _kind(name, value, where), f"{where}: {name}")
                if kind != kinds[name]:
                    kinds[name] = kind
                    self._connection.execute("UPDATE columns SET kind = ? WHERE name = ?", (kind, name))

    def _kinds(self) -> dict[str, str | None]:
        return dict(self._connection.execute("SELECT name, kind FROM columns ORDER BY position"))

    def _has(self, table: str) -> bool:
        query = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
        return self._connection.execute(query, (table,)).fetchone() is not None


def remove(path: Path) -> None:
    """Delete a results file, with the journal that a killed process may have left of it."""
    for each in (path, path.with_name(f"{path.name}-journal")):
        each.unlink(missing_ok=True)


@contextlib.contextmanager
def _connected(path: Path, mode: str) -> Iterator[sqlite3.Connection]:
    """Open a database; SQLite's errors become ours."""
    try:
        uri = f"{path.absolute().as_uri()}?mode={mode}"
        connection = sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS, isolation_level=None)
        try:
            yield connection
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise SweepError(f"{path} cannot be used as a results file: {error}") from error


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[Store]:
    """Make a database in one transaction; whole, it takes the place of a file."""
    part = path.with_name(f".{path.name}.part")
    remove(part)
    try:
        with _connected(part, "rwc") as connection, _transaction(connection):
            yield Store(path, connection)
        part.replace(path)
    except OSError as error:
        raise SweepError(f"{path} cannot be written ({error.strerror}): name a writable folder") from error
    finally:
        remove(part)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _kind(name: str, value: Scalar, where: str) -> str | None:
    """Return the kind of a value, which SQLite must hold exactly; None for None."""
    if value is None:
        return None
    kind = _KINDS.get(type(value))
    if kind is None:
        allowed = "int, float, str, bool or None"
        raise SweepError(f"{where}: {name} must be {allowed}, not {type(value).__name__}")
    if isinstance(value, float) and not math.isfinite(value):
        raise SweepError(f"{where}: {name} must be finite, or None, not {value}")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise SweepError(f"{where}: {name} must be an integer of 64 bits, not {value}")
    return kind


def _joined(known: str | None, kind: str | None, where: str) -> str | None:
    """Return the kind of a column that holds values of two kinds."""
    if known is None or kind is None or known == kind:
        return known or kind
    if {known, kind} == {"integer", "real"}:
        return "real"
    raise SweepError(f"{where} must have one kind in all rows, not {known} and {kind}")


def _restored(value: Scalar, kind: str | None) -> Scalar:
    """Return a value as it was measured, from what SQLite gives."""
    if value is None:
        return None
    if kind == "boolean":
        return bool(value)
    return float(value) if kind == "real" else value
