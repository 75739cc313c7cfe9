"""Rules on call sites: which of them leak, and which only replace what was there before."""

from __future__ import annotations

from soak.analysis.decision.rules.unknown_caches import WINDOWS_TO_LOOK, is_n_min_small
from soak.analysis.evidence import Evidence
from soak.analysis.sites.ledger import Suspect
from soak.grounds import CYCLES_OF_OWN_CACHES, ENOUGH_N_MIN, N_MIN_OF_OWN_CACHES, Ground, GroundKind
from soak.verdict import SeriesState, SeriesVerdict, Verdict

_LATER_SHARE = 0.5
"""What grew until three quarters of the cycles were over has half of its rate in the later half of them."""
_REPLACED_SHARE = 0.5
"""Where all memory grows by less than this share of what sites keep, the rest of that is freed elsewhere."""


def find_replacing(evidence: Evidence) -> Ground | None:
    """Return this ground if sites grow and as much is freed elsewhere: old blocks may be being replaced.

    That comes to an end. A leak may stand beside it as well, so nothing is decided before.
    """
    growing = [suspect for suspect in _may_be_replacing(evidence) if _grows_still(suspect)]
    if not growing:
        return None
    rate = sum(suspect.verdict.rate or 0.0 for suspect in growing)
    return Ground(GroundKind.REPLACING, ("tracked",), sites=len(growing), proven_rate=rate)


def _may_be_replacing(evidence: Evidence) -> list[Suspect]:
    """Return the suspects that leak, where most of what they keep is known to be freed elsewhere.

    Either all memory together is known to grow by much less than they keep of it. Or other sites lose as much, in each
    part of the run: where the table of a dict is enlarged once, all memory has a step, and its growth is not known.
    The sum of a table that is doubled now and then is constant most of the time, and proves nothing.
    """
    steady = [s for s in _suspects_that_leak(evidence) if s.verdict.state is not SeriesState.MEASURED]
    whole = evidence.trusted.get("tracked")
    if not steady or whole is None or whole.verdict is Verdict.LEAK:
        return []
    kept = sum(suspect.verdict.rate or 0.0 for suspect in steady)
    is_flat = whole.high is not None and whole.high < _REPLACED_SHARE * kept
    is_freed = evidence.falling is not None and evidence.falling.bytes_per_cycle > (1 - _REPLACED_SHARE) * kept
    return steady if is_flat or is_freed else []


def find_growing_sites(evidence: Evidence) -> Ground | None:
    """Return this ground if sites leak and the sum of all bytes does not show it by itself."""
    leaking = leaking_sites(evidence)
    whole = evidence.trusted.get("tracked")
    if not leaking or (whole is not None and whole.verdict is Verdict.LEAK):
        return None
    rate = sum(growth.rate or 0.0 for growth in leaking)
    return Ground(GroundKind.GROWING_SITES, ("tracked",), sites=len(leaking), proven_rate=rate)


def leaking_sites(evidence: Evidence) -> list[SeriesVerdict]:
    """Return the growth of the sites that leak; where n_min is small, of those that still grow."""
    return [suspect.verdict for suspect in leaking_suspects(evidence)]


def leaking_suspects(evidence: Evidence) -> list[Suspect]:
    """Return the sites that leak, without those that may only replace what was there before."""
    replacing = {suspect.site for suspect in _may_be_replacing(evidence)}
    return [suspect for suspect in _suspects_that_leak(evidence) if suspect.site not in replacing]


def _suspects_that_leak(evidence: Evidence) -> list[Suspect]:
    leaking = [s for s in evidence.suspects if s.is_leak and evidence.exceeds_tolerance(s.verdict)]
    if is_n_min_small(evidence):
        leaking = [suspect for suspect in leaking if suspect.verdict.is_growing and _is_no_full_table(suspect)]
    is_n_min_large = evidence.n_min is None or evidence.n_min >= N_MIN_OF_OWN_CACHES
    if not is_n_min_large and (evidence.is_n_min_of_slow_cycles or evidence.may_be_bounded):
        leaking = [suspect for suspect in leaking if _grows_still(suspect)]
    return leaking


def _is_no_full_table(suspect: Suspect) -> bool:
    """Whether a site continues to grow, if caches of a thousand entries may not be full yet.

    The table of a dict whose entries come and go is enlarged once more after up to twice as many cycles.
    """
    if suspect.verdict.state is SeriesState.MEASURED:
        return (suspect.verdict.decided_at or 0) >= WINDOWS_TO_LOOK * ENOUGH_N_MIN
    return suspect.goes_on


def _grows_still(suspect: Suspect) -> bool:
    """Whether a site has grown over the later half of the cycles too: a look may have called a cache a leak before."""
    if suspect.verdict.state is SeriesState.MEASURED:  # the table of a dict, which is made larger now and then
        return (suspect.verdict.decided_at or 0) >= CYCLES_OF_OWN_CACHES
    recent = suspect.recent_bytes_per_cycle
    return recent is None or recent >= _LATER_SHARE * (suspect.verdict.rate or 0.0)
