"""What each cycle keeps by a setting, or registers for good, is a leak after few cycles; repaired it is none."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_few_cycles import soak_few

from soak.grounds import GroundKind
from soak.verdict import Verdict

pytestmark = pytest.mark.integration

PLAYER = (
    "class Player:\n    def __init__(self, mode):\n        self.mode, self.kept, self.last = mode, [], None\n"
    "    def play(self):\n        last, self.last = self.last, bytearray(4000)\n"
    "        if self.mode == 'keep':\n            self.kept.append(last)\n"
    "PLAYER = Player('keep')\ndef cycle():\n    PLAYER.play()\n"
)
HANDLERS = (
    "import logging\nLOG = logging.getLogger('web')\n"
    "def cycle():\n    handler = logging.Handler()\n    LOG.addHandler(handler)\n"
)
KEEPS = {
    "what a setting asks for": (PLAYER, "self.kept", 7),
    "handlers of a logger": (HANDLERS, "the handlers of LOG", 5),
}
REPAIRED = {
    "a setting that is off": PLAYER.replace("Player('keep')", "Player('drop')"),
    "a setting that is switched off": PLAYER + "    if len(PLAYER.kept) == 90:\n        PLAYER.mode = 'drop'\n",
    "a bound beside a setting that is off": PLAYER.replace("Player('keep')", "Player('drop')").replace(
        "            self.kept.append(last)\n",
        "            self.kept.append(last)\n        if len(RECENT) < 90:\n            RECENT.append(last)\n",
    )
    + "RECENT = []\n",
    "handlers that are removed": HANDLERS + "    LOG.removeHandler(handler)\n",
}


@pytest.mark.parametrize("name", sorted(KEEPS))
def test_what_stays_in_each_of_200_cycles_is_a_leak_with_what_keeps_it(tmp_path: Path, name: str):
    text, keeper, line = KEEPS[name]

    result = soak_few(tmp_path, text, 200)

    assert (result.verdict, result.grounds[0].kind) == (Verdict.LEAK, GroundKind.KEPT_BLOCKS)
    assert result.keeper is not None
    assert (result.keeper.name, result.keeper.line) == (keeper, line)


@pytest.mark.parametrize("name", sorted(REPAIRED))
def test_repaired_it_is_no_leak(tmp_path: Path, name: str):
    assert soak_few(tmp_path, REPAIRED[name], 200).verdict is not Verdict.LEAK
