"""What each cycle registers for good is kept; where the program may take it out again, nothing is said."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_settings_in_code import find, has_not_run

PAD = (
    "class Mixer:\n    def __init__(self, make, mode):\n        self.element, self.mode = make(), mode\n"
    "    def remove(self, song):\n        self.element.get_static_pad('src').add_probe(1, passes, song)  # 1\n"
    "class Jukebox:\n    def __init__(self, make):\n        self.mixer = Mixer(make, 'keep')\n"
    "    def play(self, song):\n        self.mixer.remove(song)  # 2\n"
    "def passes(*_):\n    return True\n"
    "def setup():\n    return Jukebox(object)\ndef cycle(jukebox):\n    jukebox.play(5)  # 3\n"
)
LOGGER = "import logging\nLOG = logging.getLogger(__name__)\n"
STAYS = {
    "a probe": PAD,
    "a probe that a setting asks for": PAD.replace(
        "        self.element.get",
        "        mode = self.mode\n        if mode is not None:\n            self.element.get",
    ),
    "a handler of a logger": LOGGER + "def cycle():\n    LOG.addHandler(logging.StreamHandler())  # 1\n",
    "a handler of a logger that is looked up": (
        "import logging\ndef cycle():\n    logging.getLogger('web').addHandler(logging.StreamHandler())  # 1\n"
    ),
    "a handler that is made before": LOGGER
    + "def cycle():\n    one = logging.StreamHandler()  # 1\n    LOG.addHandler(one)\n",
    "a function for the end": "import atexit\ndef cycle():\n    atexit.register(print, bytes(9))  # 1\n",
    "a hook": "import sys\ndef cycle():\n    sys.addaudithook(lambda *_: None)  # 1\n",
}
MAY_GO = {
    "a handler that a setting may not ask for": "ON = True\n"
    + LOGGER
    + "def cycle():\n    one = logging.StreamHandler()  # 1\n    if ON:\n        LOG.addHandler(one)\n",
    "what is not registered": LOGGER
    + "def cycle():\n    one = bytes(9)  # 1\n    other = logging.StreamHandler()\n    LOG.addHandler(other)\n",
    "a probe that is removed": PAD + "def stop(pad, number):\n    pad.remove_probe(number)\n",
    "a probe that removes itself": PAD.replace("return True", "return Gst.PadProbeReturn.REMOVE"),
    "a probe of an object of each cycle": PAD.replace("jukebox.play(5)", "Jukebox(object).play(5)"),
    "a probe of what is passed": PAD.replace("self.element.get", "song.get"),
    "a probe of an element that is replaced": PAD + "def renew(mixer):\n    mixer.element = None\n",
    "a probe of one of many pads": PAD.replace("get_static_pad('src')", "get_static_pad(song)"),
    "a probe on a condition": PAD.replace("        self.element.get", "        if song:\n            self.element.get"),
    "a probe of a mixer that is made again": PAD.replace(
        "self.mixer.remove(song)", "self.mixer.remove(song); self.mixer = Mixer(object, 1)"
    ),
    "a handler that is removed": LOGGER
    + "def cycle():\n    LOG.addHandler(logging.StreamHandler())  # 1\ndef stop(one):\n    LOG.removeHandler(one)\n",
    "handlers that are replaced": LOGGER
    + "def cycle():\n    LOG.addHandler(logging.StreamHandler())  # 1\ndef stop():\n    LOG.handlers[:] = []\n",
    "a handler of a logger of each cycle": (
        "import logging\ndef cycle(n):\n    logging.getLogger(str(n)).addHandler(logging.StreamHandler())  # 1\n"
    ),
    "a function for the end that is taken back": (
        "import atexit\ndef cycle():\n    atexit.register(print, bytes(9))  # 1\n    atexit.unregister(print)\n"
    ),
    "a method of that name": "def cycle(atexit):\n    atexit.register(print, bytes(9))  # 1\n",
    "another module of that name": "import mine as atexit\ndef cycle():\n    atexit.register(print, bytes(9))  # 1\n",
}


@pytest.mark.parametrize("code", STAYS.values(), ids=STAYS)
def test_what_is_registered_and_never_taken_out_is_kept(tmp_path: Path, code: str):
    """It stands on the stack, so it has run, whatever setting asks for it."""
    found = find(tmp_path, code, has_not_run)

    assert found is not None
    assert found.name.startswith("the ")
    assert any(
        f".{word}(" in code.splitlines()[found.line - 1]
        for word in ("add_probe", "addHandler", "register", "addaudithook")
    )


@pytest.mark.parametrize("code", MAY_GO.values(), ids=MAY_GO)
def test_nothing_is_said_of_what_may_be_taken_out(tmp_path: Path, code: str):
    assert find(tmp_path, code) is None


def test_another_file_may_take_it_out_but_not_the_one_that_defines_it(tmp_path: Path):
    code = STAYS["a handler of a logger"]
    stops = "def stop(log):\n    log.handlers = []\n"
    library = "class Logger:\n    def addHandler(self, one):\n        self.handlers.append(one)\n"

    assert find(tmp_path, code, others={"library.py": library}) is not None
    assert find(tmp_path, code, others={"library.py": library, "other.py": stops}) is None
