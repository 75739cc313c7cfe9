"""The functions of ``gc`` as they were before the component was loaded.

A component may replace them, as tests do with a mock. What soak collects and counts must not depend on that. A mock
also keeps a record of each call, so that soak's calls would make the component grow.
"""

from __future__ import annotations

import gc


class RealGc:
    """What soak collects and counts with, wherever the code of others may run in the same process."""

    collect = staticmethod(gc.collect)
    enable = staticmethod(gc.enable)
    disable = staticmethod(gc.disable)
    isenabled = staticmethod(gc.isenabled)
    freeze = staticmethod(gc.freeze)
    unfreeze = staticmethod(gc.unfreeze)
    get_freeze_count = staticmethod(gc.get_freeze_count)
    get_objects = staticmethod(gc.get_objects)
    get_referents = staticmethod(gc.get_referents)
    get_referrers = staticmethod(gc.get_referrers)
    is_tracked = staticmethod(gc.is_tracked)
    get_debug = staticmethod(gc.get_debug)
    set_debug = staticmethod(gc.set_debug)
