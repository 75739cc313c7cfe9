"""Begin to mark what ``soak watch --mark`` names; called at the start of the interpreter, before the program."""

from __future__ import annotations

from soak.inside.marking.frameworks import FRAMEWORKS
from soak.inside.marking.functions import mark_when_imported
from soak.inside.marking.importing import AfterImport
from soak.inside.marking.marks import is_counting


def begin(wanted: str) -> None:
    """Prepare to mark. ``wanted``: names of frameworks, and dotted names of functions, with commas between them."""
    if not is_counting():
        return
    after_import = AfterImport()
    for name in filter(None, wanted.split(",")):
        if name in FRAMEWORKS:
            for module, patch in FRAMEWORKS[name]:
                after_import.add(module, patch)
        else:
            mark_when_imported(name.replace(":", "."), after_import)
