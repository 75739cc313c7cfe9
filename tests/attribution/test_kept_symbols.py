"""Tables of symbols that take long to make are kept under the build id of their file."""

from __future__ import annotations

from pathlib import Path

import pytest
from symbolic.debuginfo import Object
from symbolic.exceptions import SymbolicError

from soak.attribution.native import kept_symbols
from soak.attribution.native.kept_symbols import table_of


class Table:
    """Stands for a table; it writes its text into a file."""

    is_latest_version = True

    def __init__(self, text: bytes) -> None:
        self.text = text

    def dump_into(self, stream) -> None:
        stream.write(self.text)

    @classmethod
    def open(cls, path: str) -> Table:
        text = Path(path).read_bytes()
        if not text.startswith(b"table"):
            raise SymbolicError("not a table")
        return cls(text)


class Source:
    """Stands for an object file; counts how often its table is made."""

    features = frozenset({"debug", "symtab"})

    def __init__(self, code_id: str | None) -> None:
        self.code_id = code_id
        self.times_made = 0

    def make_symcache(self) -> Table:
        self.times_made += 1
        return Table(b"table")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of the tables; all are worth keeping."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(kept_symbols, "_WORTH_KEEPING_S", 0.0)
    monkeypatch.setattr(kept_symbols, "SymCache", Table)
    return tmp_path / "soak" / "symbols"


def tables_of(*sources: Source) -> list[bytes]:
    found: list[Object] = list(sources)  # type: ignore[arg-type]
    return [table_of(source).text for source in found]  # type: ignore[attr-defined]


def test_a_table_is_made_once_for_a_build_id(folder: Path):
    first, again = Source("49daf8"), Source("49daf8")

    assert tables_of(first, again) == [b"table", b"table"]

    assert (first.times_made, again.times_made) == (1, 0)


def test_a_file_without_a_build_id_is_read_every_time(folder: Path):
    source = Source(None)

    tables_of(source, source)

    assert source.times_made == 2
    assert not folder.exists()


def test_a_damaged_table_is_made_again(folder: Path):
    tables_of(Source("49daf8"))
    (kept,) = folder.iterdir()
    kept.write_bytes(b"")
    source = Source("49daf8")

    assert tables_of(source) == [b"table"]

    assert source.times_made == 1
    assert kept.read_bytes() == b"table"


def test_the_oldest_tables_go_first(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(kept_symbols, "_MOST_KEPT", 2)

    tables_of(*map(Source, ("a1", "b2", "c3")))

    assert sorted(file.name[:2] for file in folder.iterdir()) == ["b2", "c3"]


def test_a_folder_that_cannot_be_written_to_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(kept_symbols, "_WORTH_KEEPING_S", 0.0)

    assert tables_of(Source("49daf8")) == [b"table"]
