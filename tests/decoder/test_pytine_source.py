"""The PyTine adapter, against a fake of the documented shapes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from decoder import acquisition
from decoder.errors import SourceError
from decoder.message import tonumpy
from decoder.sample_frames import draw_picture, sample_block
from decoder.sources.pytine import PyTineSource, is_installed

ADDRESS = "/DESY2/D2GRAB.Webcam/Output"


class FakePyTine(ModuleType):
    """The documented part of PyTine: get with a listener behind it, stop_get, attach, detach."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        super().__init__("PyTine")
        self.__spec__ = sys.__spec__
        self.data = data
        self.listeners: set[tuple[str, str]] = set()
        self.links: dict[int, Callable[[int, int, Mapping[str, Any]], object]] = {}

    def get(self, address: str, property: str) -> dict[str, Any]:  # noqa: A002
        if address == "/NOWHERE":
            raise RuntimeError("illegal equipment")
        self.listeners.add((address, property))
        return {"data": self.data, "timestamp": 1.5, "status": 0}

    def stop_get(self, address: str, property: str) -> None:  # noqa: A002
        self.listeners.remove((address, property))

    def attach(self, *, address: str, property: str, callback, interval: int) -> int:  # noqa: A002
        self.links[len(self.links)] = callback
        return len(self.links) - 1

    def detach(self, link: int) -> None:
        del self.links[link]


def install(monkeypatch: pytest.MonkeyPatch, data: Mapping[str, Any]) -> FakePyTine:
    fake = FakePyTine(data)
    monkeypatch.setitem(sys.modules, "PyTine", fake)
    return fake


def header_and_bytes() -> dict[str, Any]:
    """Return PyTine's second shape, with a magic value and lengths that this project does not know."""
    block = sample_block("GRAY8", width=8, height=6)
    fields = {"sourceWidth": 8, "sourceHeight": 6, "bytesPerPixel": 1, "imageFormat": 0, "baseTag": 42}
    return {"frameHeader": fields, "imageBytes": block[188:]}


def test_both_documented_shapes_become_arrays(monkeypatch: pytest.MonkeyPatch):
    """By the slides' two calls."""
    expected = draw_picture(0, 8, 6)[..., 1]
    for data in ({"imageMatrix": expected.copy()}, header_and_bytes()):
        install(monkeypatch, data)
        with PyTineSource() as source:
            assert np.array_equal(expected, tonumpy(source.get(ADDRESS, "Frame")))


def test_closing_stops_every_listener_and_link(monkeypatch: pytest.MonkeyPatch):
    """A listener that is never stopped is a leak."""
    fake = install(monkeypatch, header_and_bytes())
    source = PyTineSource()
    for address in (ADDRESS, ADDRESS, "/TEST/Z41L.R2J/Output"):
        source.get(address, "Frame")
    kept = source.attach(ADDRESS, "Frame", lambda *_: None, interval_ms=100)
    source.detach(source.attach(ADDRESS, "Frame", lambda *_: None))
    assert (len(fake.listeners), list(fake.links)) == (2, [kept])

    source.close()
    source.close()

    assert (fake.listeners, fake.links) == (set(), {})


def test_a_failed_get_is_a_source_error_and_closing_still_works(monkeypatch: pytest.MonkeyPatch):
    """PyTine may raise in get, and again when it stops a listener that it never started."""
    install(monkeypatch, header_and_bytes())
    with PyTineSource() as source, pytest.raises(SourceError, match="illegal equipment"):
        source.get("/NOWHERE", "Frame")


def test_get_image_uses_pytine_where_it_is_installed(monkeypatch: pytest.MonkeyPatch):
    """And starts no server then."""
    fake = install(monkeypatch, header_and_bytes())
    acquisition._default_source.cache_clear()

    assert is_installed()
    assert acquisition.get_image(ADDRESS, "Frame")["timestamp"] == 1.5
    assert fake.listeners == {(ADDRESS, "Frame")}

    acquisition._default_source().close()
    acquisition._default_source.cache_clear()


def test_without_pytine_the_error_names_the_loopback_source(monkeypatch: pytest.MonkeyPatch):
    """The loopback source is named."""
    monkeypatch.setitem(sys.modules, "PyTine", None)

    with pytest.raises(SourceError, match=r"PyTine cannot be imported .* loopback"):
        PyTineSource()
