"""Make causes of the call sites that grow: one for each place, with its stack, its rate and who holds the blocks."""

from __future__ import annotations

import hashlib
import itertools
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from soak.analysis.sites.caches import Cache, holding_cache
from soak.analysis.sites.ledger import SAME_RATE, Suspect
from soak.attribution import generators
from soak.attribution.holders import UNSCANNED, Memory, Reachability, find_memory_path
from soak.attribution.native.names import INTERPRETER_MODULES, is_of_the_language
from soak.attribution.object_answers import draw_chain, draw_nodes
from soak.attribution.rounding import allocated_bytes
from soak.results import Cause, Owner, Place
from soak.verdict import SeriesVerdict

NATIVE_DOMAIN, MAPPING_DOMAIN = 0, 3
_NATIVE_DOMAINS = (NATIVE_DOMAIN, MAPPING_DOMAIN)
_NATIVE_KINDS = ("native", "mapping")
_RUNTIME_MODULES = ("libc.so", "libc-", "ld-linux", "libffi", "libstdc++", "libsoak_tracker", "libpthread", "_ctypes")
_BYTECODE_RUNNERS = ("_PyEval_", "PyEval_")
_RUNS_FRAMES = "_PyEval_EvalFrameDefault"
_OWN_FOLDER = "/soak/inside/"
_IMPORTER = "<frozen importlib"
_PLANTED = "/soak/inside/injection.py"
_SIZE_CLASS_BYTES = 16


@dataclass(frozen=True)
class Call:
    """One frame of a stack, innermost first: native with an address, or Python with its place."""

    address: int | None = None
    file: str | None = None
    function: str | None = None
    line: int | None = None
    is_entry: bool = False
    """A Python frame that C called: it and those it called in Python share one run of the bytecode interpreter."""


@dataclass(frozen=True)
class GrowingSite:
    """A call site whose live memory grows, as the tracker knows it."""

    suspect: Suspect
    domain: int
    """0: from malloc; 3: mapped; else Python's own allocators."""
    place: Call | None
    stacks: tuple[tuple[Call, ...], ...]
    """Captured stacks, the one with most live blocks first."""
    reachability: Reachability = UNSCANNED
    """Whether its blocks are lost or held, and by whom."""
    named: Mapping[int, Call | None] = field(default_factory=dict)
    """Where the other sites are that the reachability speaks of."""
    growth: SeriesVerdict | None = None
    """Of a site whose blocks are lost or kept: no verdict of a series is needed for that."""
    is_kept: bool = False
    """A container holds its blocks from which the code never takes anything."""

    @property
    def cache(self) -> Cache | None:
        """The cache that holds its objects, as the process itself said."""
        is_held = self.reachability.state == "held" and not self.reachability.kind
        return self.reachability.answer.cache if is_held else None

    @property
    def is_proven(self) -> bool:
        """Whether it is a leak beyond doubt: its blocks are lost, or kept for ever, or its series says so."""
        return self.reachability.state == "lost" or self.is_kept or self.suspect.is_leak

    @property
    def is_of_import(self) -> bool:
        """Whether it allocates while a module is imported, and its blocks are not lost."""
        calls = (self.place, *itertools.chain(*self.stacks[:1]))  # a table that has just doubled has no stack yet
        imports = any(call is not None and (call.file or "").startswith(_IMPORTER) for call in calls)
        return imports and self.reachability.state != "lost"

    @property
    def bytes_per_cycle(self) -> float:
        """The rate, with 0 for none."""
        if not self.suspect.is_leak and self.growth is not None:
            return self.growth.rate or 0.0
        return self.suspect.bytes_per_cycle


Locate = Callable[[int], Sequence[Place]]
"""Names the place of a native return address, and the places of the functions that it was inlined into."""


def causes_of_sites(
    sites: Iterable[GrowingSite],
    locate: Locate,
    *,
    gc_held_off: bool,
    memory: Memory | None = None,
) -> tuple[Cause, ...]:
    """Return one cause for each place that grows, the fastest first; sites of one line are one cause."""
    groups: dict[tuple[str, str], list[GrowingSite]] = {}
    sites = [_where_it_was_called(site) for site in sites]
    growing = {site.suspect.site for site in sites}
    for site in sites:
        kind = _kind(site, gc_held_off=gc_held_off)
        groups.setdefault((kind, _identity(site, locate)), []).append(site)
    causes = [_cause(kind, group, locate, memory, growing) for (kind, _), group in groups.items()]
    causes = _with_causes_of_owners(causes, list(groups.values()))
    return tuple(sorted(causes, key=lambda cause: (not cause.confirmed, -(cause.bytes_per_iteration or 0.0))))


def with_main_site(sites: tuple[Cause, ...], leak: float) -> tuple[Cause, ...]:
    """Return the sites, with that one confirmed which is nearly all of a leak where none is a leak by itself.

    ``leak``: bytes a cycle that are proven to stay; 0 if none are.
    """
    is_main = bool(sites) and (sites[0].bytes_per_iteration or 0.0) >= SAME_RATE * leak > 0
    if not is_main or any(cause.confirmed for cause in sites):
        return sites
    return (replace(sites[0], confirmed=True), *sites[1:])


def _with_causes_of_owners(causes: Sequence[Cause], groups: Sequence[Sequence[GrowingSite]]) -> list[Cause]:
    """Return the causes, each with the fingerprint of the one that allocates its owner.

    An owner to which Python's references lead is not lost: of a linked list only the ends have pointers from outside,
    so that memory alone does not tell.
    """
    fingerprints = {
        site.suspect.site: cause.fingerprint for cause, group in zip(causes, groups, strict=True) for site in group
    }
    owned_by = [_worst(group).reachability.owner for group in groups]
    reached = {owned.site for owned, cause in zip(owned_by, causes, strict=True) if owned is not None and cause.chain}
    found = []
    for cause, owned in zip(causes, owned_by, strict=True):
        owner = cause.owner
        if owner is not None and owned is not None:
            is_lost = owner.is_lost and owned.site not in reached
            owner = replace(owner, fingerprint=fingerprints.get(owned.site), is_lost=is_lost)
            if owner.type in generators.TYPES:
                itself = (each for each in causes if each.fingerprint == owner.fingerprint)
                owner = replace(owner, allocated_at=next((e.python_where for e in itself), owner.allocated_at))
        found.append(replace(cause, owner=owner))
    return found


def _where_it_was_called(site: GrowingSite) -> GrowingSite:
    """Return the site of a generator without the generator's own frame, where it is known who called its function."""
    if site.reachability.type not in generators.TYPES:
        return site
    stacks = tuple(map(_without_own_frame, site.stacks))
    if stacks == site.stacks:
        return site
    return replace(site, place=next((call for call in stacks[0] if call.file is not None), site.place), stacks=stacks)


def _without_own_frame(stack: tuple[Call, ...]) -> tuple[Call, ...]:
    own = next((call for call in stack if call.file is not None), None)
    if own is None or not generators.makes_itself(own.file, own.function, own.line):
        return stack
    without = tuple(call for call in stack if call is not own)
    return without if any(call.file is not None and not is_ours(call) for call in without) else stack


def _worst(group: Sequence[GrowingSite]) -> GrowingSite:
    """Return the site that speaks for those of its line.

    What only grows by being moved, a list's buffer, is proven soonest. But the objects beside it tell what is kept.
    """
    worst = max(group, key=_badness)
    if worst.suspect.blocks_per_cycle > 0 or worst.reachability.answer.chain:
        return worst
    return max((site for site in group if site.reachability.answer.chain), key=_badness, default=worst)


def _badness(site: GrowingSite) -> tuple[bool, float]:
    return site.is_proven, site.bytes_per_cycle


def _kind(site: GrowingSite, *, gc_held_off: bool) -> str:
    if site.reachability.kind is not None:
        return site.reachability.kind
    if site.reachability.answer.is_uncollectable:
        return "reference-cycle"
    if site.domain == MAPPING_DOMAIN:
        return "mapping"
    if site.domain == NATIVE_DOMAIN:
        return "native"
    # With gc off what a root holds is held by that.
    return "reference-cycle" if gc_held_off and not site.reachability.answer.chain else "python-object"


def _identity(site: GrowingSite, locate: Locate) -> str:
    """Tell sites of one place from others: a Python line, or a native function's line."""
    where, python_where = _places(site, locate)
    place = python_where if site.domain not in _NATIVE_DOMAINS and python_where is not None else where
    if place is None:
        return f"site {site.suspect.site}"
    return f"{place.module} {place.file} {place.function} {place.line}"


def _cause(
    kind: str, group: Sequence[GrowingSite], locate: Locate, memory: Memory | None, growing: Collection[int]
) -> Cause:
    worst = _worst(group)
    where, python_where = _places(worst, locate)
    answer, cache = worst.reachability.answer, worst.reachability.answer.cache

    def place_of_site(site: int) -> Place | None:
        call = worst.named.get(site)
        return None if call is None else place_of(call, locate)

    def place_of_object(site: int) -> Place | None:
        return place_of_allocation(worst.named.get(site), locate)

    bytes_rate = sum(site.bytes_per_cycle for site in group)
    blocks_rate = sum(site.suspect.blocks_per_cycle for site in group)
    # A list's buffer that grows on the same line brings no blocks.
    sizes = {site.suspect.requested_size for site in group if site.suspect.blocks_per_cycle > 0}
    since = [site.suspect.verdict.since for site in group if site.suspect.verdict.since is not None]
    holder = None
    if cache is not None:
        holder = holding_cache(cache)
    return Cause(
        kind=kind,
        confirmed=any(site.is_proven for site in group),
        state=worst.reachability.state,
        fingerprint=fingerprint(kind, where, python_where, worst.suspect.requested_size),
        bytes_per_iteration=bytes_rate,
        blocks_per_iteration=blocks_rate,
        requested_size=sizes.pop() if len(sizes) == 1 else None,
        every=1 / blocks_rate if 0 < blocks_rate < 0.95 else 1.0 if blocks_rate else None,
        since=min(since, default=None),
        where=where,
        python_where=python_where,
        frames=_frames(worst, locate),
        allocated_bytes_per_iteration=_allocated_rate(group),
        type=worst.reachability.type,
        owner=_owner(worst, locate),
        holder=holder,
        chain=draw_chain(answer.chain, place_of_object),
        ring=draw_nodes(answer.ring, place_of_object),
        memory_path=find_memory_path(worst.reachability, place_of_site, memory, growing),
        unseen=worst.reachability.unseen,
        unseen_detail=worst.reachability.unseen_detail,
    )


def _owner(site: GrowingSite, locate: Locate) -> Owner | None:
    owned = site.reachability.owner
    if owned is None:
        return None

    function = None if owned.function_site is None else site.named.get(owned.function_site)
    memory = [place_of_allocation(site.named.get(at), locate) for at in owned.memory_sites]
    told = [place for place in memory if place is not None]
    made_at = place_of_allocation(site.named.get(owned.made_at), locate)
    return Owner(
        owned.kind,
        owned.bytes_each,
        owned.per_cycle,
        made_at if made_at is not None and made_at.is_python else None,
        is_lost=owned.is_lost,
        ref_count=owned.ref_count,
        function=place_of_allocation(function, locate),
        memory=next((place for place in told if place.is_python), told[-1] if told else None),
    )


def _allocated_rate(group: Sequence[GrowingSite]) -> float | None:
    """Return what the allocators use for the blocks that stay in a cycle; None if their sizes do not tell."""
    total = 0.0
    for site in group:
        size, is_mapping = site.suspect.requested_size, site.domain == MAPPING_DOMAIN
        given = allocated_bytes(size, is_python=site.domain != NATIVE_DOMAIN) if size and not is_mapping else None
        if given is None or size is None:
            return None
        total += site.bytes_per_cycle * given / size
    return total


def place_of_allocation(call: Call | None, locate: Locate) -> Place | None:
    """Return the line that allocated a holder; None if it says nothing: the importer's, or soak's own."""
    says_nothing = call is None or is_ours(call) or (call.file or "").startswith(_IMPORTER)
    return None if call is None or says_nothing else place_of(call, locate)


def _places(site: GrowingSite, locate: Locate) -> tuple[Place | None, Place | None]:
    """Return the native and the Python place of a site, each None if there is none.

    A C function that called the Python function that allocates is not the place: no more than any other caller.
    """
    calls = [site.place] if site.place is not None else []
    calls += [call for stack in site.stacks[:1] for call in stack]
    python = next((call for call in calls if call.file is not None and not is_ours(call)), None)
    native = above_bytecode(calls, locate)
    where = nearest(native)
    if where is None and site.domain in _NATIVE_DOMAINS and native:
        where = native[0]
    return where, None if python is None else _place_of_python(python)


def place_of(call: Call, locate: Locate) -> Place:
    """Return the place of a call, in C or in Python."""
    return _place_of_python(call) if call.address is None else locate(call.address)[0]


def _place_of_python(call: Call) -> Place:
    return Place(call.function, call.file, call.line)


def is_ours(call: Call) -> bool:
    """Whether a Python frame is of the loop that calls the component."""
    file = call.file or ""
    return _OWN_FOLDER in file and not file.endswith(_PLANTED)


def is_plumbing(place: Place) -> bool:
    """Whether a native frame is of the interpreter or a runtime library: through it everything goes."""
    name = (place.module or "").rpartition("/")[2]
    return name.startswith(_RUNTIME_MODULES) or name.startswith(INTERPRETER_MODULES)


def nearest(places: Iterable[Place]) -> Place | None:
    """Return the innermost function that is not plumbing; one of a language's own library if there is no other."""
    outside = [place for place in places if not is_plumbing(place)]
    own = (place for place in outside if not is_of_the_language(place.function or "", place.file))
    return next(own, outside[0] if outside else None)


def _frames(site: GrowingSite, locate: Locate) -> tuple[Place, ...]:
    calls = site.stacks[0] if site.stacks else (site.place,) if site.place is not None else ()
    return list_frames(calls, locate)


def list_frames(calls: Sequence[Call], locate: Locate) -> tuple[Place, ...]:
    """Return the functions as they called each other, innermost first, C and Python mixed.

    The interpreter's own C functions are left out but for those that the innermost Python function called; so is soak.
    """
    native = [place for call in calls if call.address is not None for place in locate(call.address)]
    in_c = above_bytecode(calls, locate)
    below = native[len(in_c) :]
    while len(in_c) > 1 and is_plumbing(in_c[-1]):
        in_c.pop()
    frames = list(in_c)
    in_python = deque(call for call in calls if call.address is None)
    for place in below:
        if (place.function or "").startswith(_RUNS_FRAMES):
            frames += _take_run(in_python)
        elif place.module is not None and not is_plumbing(place):  # if a stack was moved, it ends in no module
            frames.append(place)
    while in_python:  # the C functions below were not captured, or have no names
        frames += _take_run(in_python)
    return tuple(frames)


def _take_run(in_python: deque[Call]) -> Iterator[Place]:
    """Take the Python functions that one run of the bytecode interpreter holds: down to one that C called."""
    while in_python:
        call = in_python.popleft()
        if not is_ours(call):
            yield _place_of_python(call)
        if call.is_entry:
            return


def above_bytecode(calls: Sequence[Call], locate: Locate) -> list[Place]:
    """Return the C functions that were called from where the interpreter runs bytecode, innermost first."""
    native = (place for call in calls if call.address is not None for place in locate(call.address))
    return list(itertools.takewhile(lambda place: not (place.function or "").startswith(_BYTECODE_RUNNERS), native))


def fingerprint(kind: str, where: Place | None, python_where: Place | None, size: int | None) -> str:
    """Return what identifies a leak across runs and versions.

    Of the kind, the module and function (not the line, which moves with every edit) and the size class.
    """
    # The C function of a Python object is only known when its stack was captured; its line always is.
    place = where or python_where if kind in _NATIVE_KINDS else python_where or where
    module = "" if place is None else (place.module or place.file or "").rpartition("/")[2]
    function = "" if place is None else place.function or ""
    size_class = "" if size is None else str(-(-size // _SIZE_CLASS_BYTES))
    return hashlib.sha256("\n".join((kind, module, function, size_class)).encode()).hexdigest()[:12]
