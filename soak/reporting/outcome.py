"""What a run's verdicts amount to: which components count, and the exit code they make.

0 all clean · 1 a leak · 3 inconclusive or settling · 4 a driver failed. Code 2, a wrong request or a failure of soak
itself, never comes from a result.
"""

from __future__ import annotations

from collections.abc import Collection

from soak.results import ComponentResult, RunResult
from soak.verdict import WORST_FIRST, Verdict

EXIT_CODES = {
    Verdict.CLEAN: 0,
    Verdict.LEAK: 1,
    Verdict.SETTLING: 3,
    Verdict.INCONCLUSIVE: 3,
    Verdict.FAILED: 4,
}
_WORST_CODES = (4, 1, 3, 0)


def exit_code(result: RunResult) -> int:
    """Give the exit code of a whole run: the worst of its components' codes; 0 when it has none."""
    known = known_fingerprints(result)
    codes = {component_exit_code(component, known) for component in result.components}
    return next((code for code in _WORST_CODES if code in codes), 0)


def component_exit_code(component: ComponentResult, known: Collection[str] = ()) -> int:
    """Give the exit code that this component alone would make; 0 when its growth is excused."""
    return 0 if excuse(component, known) else EXIT_CODES[component.verdict]


def excuse(component: ComponentResult, known: Collection[str] = ()) -> str | None:
    """Say why a component that is not CLEAN does not fail the run, or None when it does (or is CLEAN)."""
    if component.verdict is Verdict.CLEAN:
        return None
    if not component.gate:
        return "gate is off"
    return "known" if _is_known(component, known) else None


def known_fingerprints(result: RunResult) -> frozenset[str]:
    """Collect the fingerprints of growth that the run's configuration accepts."""
    return frozenset(str(fingerprint) for fingerprint in result.settings.get("known") or ())


def worst_first(result: RunResult) -> list[ComponentResult]:
    """Order components as they are read: failures, leaks, what is undecided, what is clean, what does not count.

    Within each they stay in the run's order.
    """
    known = known_fingerprints(result)
    return sorted(
        result.components,
        key=lambda component: (excuse(component, known) is not None, WORST_FIRST.index(component.verdict)),
    )


def _is_known(component: ComponentResult, known: Collection[str]) -> bool:
    if component.verdict is not Verdict.LEAK:
        return False
    causes = [cause for cause in component.causes if cause.confirmed] or list(component.causes)
    return bool(causes) and all(cause.fingerprint in known for cause in causes)
