"""The formats, in the order in which they are tried."""

from __future__ import annotations

from soak.errors import SeriesError
from soak.logs.reading.documents import Document
from soak.logs.reading.labelled import Labelled
from soak.logs.reading.records import Records
from soak.logs.reading.sentences import Sentences
from soak.logs.reading.separated import Separated
from soak.logs.reading.source import Source
from soak.logs.reading.spaced import Spaced
from soak.logs.table import LogFormat, Table
from soak.logs.tools.allocators import Glibc, Jemalloc
from soak.logs.tools.collectors import Collections
from soak.logs.tools.dstat import Dstat
from soak.logs.tools.exposition import Exposition
from soak.logs.tools.massif import Massif
from soak.logs.tools.mprof import Mprof
from soak.logs.tools.nmon import Nmon
from soak.logs.tools.pmap import Pmap
from soak.logs.tools.prometheus import Prometheus

FORMATS: tuple[LogFormat, ...] = (
    Mprof(),
    Prometheus(),
    Exposition(),
    Nmon(),
    Dstat(),
    Massif(),
    Pmap(),
    Jemalloc(),
    Glibc(),
    Collections(),
    Document(),
    Records(),
    Labelled(),
    Sentences(),
    Separated(),
    Spaced(),
)


def read_table(source: Source) -> Table:
    """Read a log in whichever format it has. Raises SeriesError if it has none of them."""
    for form in FORMATS:
        if form.recognises(source.head):
            return form.read(source)
    raise SeriesError(f"{source.name} has no numbers in columns; give a CSV with a heading, such as time,rss")
