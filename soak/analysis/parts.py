"""Set the growth of a whole against the sum of its parts."""

from __future__ import annotations

from collections.abc import Sequence

from soak.results import ComponentResult, Part, Parts


def sum_of_parts(whole: ComponentResult, parts: Sequence[ComponentResult]) -> Parts | None:
    """Compare the malloc heap's growth of ``whole`` with the sum over ``parts``, in allocated bytes per cycle.

    ``low`` and ``high`` bound what the parts leave unexplained, by interval arithmetic: ends are added, so the bound
    holds whenever each interval holds. None when one of the rates is missing.
    """
    each = [_part(part) for part in parts]
    whole_part = _part(whole)
    known = [part for part in each if part is not None]
    if whole_part is None or len(known) < len(each) or not known:
        return None
    total = sum(part.rate for part in known)
    return Parts(
        sum=total,
        full_cycle=whole_part.rate,
        unexplained=whole_part.rate - total,
        low=whole_part.low - sum(part.high for part in known),
        high=whole_part.high - sum(part.low for part in known),
        each=tuple(known),
    )


def _part(component: ComponentResult) -> Part | None:
    heap = component.signals.get("heap")
    if heap is None or heap.per_iteration is None or heap.low is None or heap.high is None:
        return None
    return Part(component.name, heap.per_iteration, heap.low, heap.high)
