"""The floors: a module imports from its own floor or below, never from above; no cycles, no hidden imports."""

from __future__ import annotations

import ast
import functools
import importlib
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
WORKLOADS = {"camera", "decoder", "jukebox"}
"""The systems that soak is tried on."""
PACKAGES = ("soak", *sorted(WORKLOADS), "standalone_tests")

# The longest prefix counts; soak itself (its version) stands below all.
FLOORS = {
    "soak": 0,
    "soak.inside": 0,
    "soak.native": 0,
    "soak.units": 1,
    "soak.errors": 1,
    "soak.measurements": 1,
    "soak.verdict": 1,
    "soak.grounds": 1,
    "soak.targets": 1,
    "soak.request": 1,
    "soak.settings": 1,
    "soak.progress": 1,
    "soak.results": 1,
    "soak.documents": 1,
    "soak.profiles": 1,
    "soak.bisections": 1,
    "soak.matrix": 1,
    "soak.probes": 2,
    "soak.logs": 2,
    "soak.analysis": 2,
    "soak.attribution": 2,
    "soak.store": 3,
    "soak.running": 4,
    "soak.reporting": 5,
    "soak.web": 5,
    "soak.api": 6,
    "soak.notebook": 6,
    "soak.commands": 6,
    "soak.testing.case": 6,
    "soak.testing.checks": 6,
    "soak.testing.plugin": 6,
    "soak.testing.reporter": 6,
    "soak.testing.warm": 6,
    "soak.__main__": 6,
}


def module_name(file: Path) -> str:
    """Return the dotted name: soak/inside/__init__.py is soak.inside."""
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def files_of(*packages: str) -> list[Path]:
    return sorted(file for package in packages for file in (ROOT / package).rglob("*.py"))


MODULES = {module_name(file): file for file in files_of(*PACKAGES)}


@functools.cache
def tree_of(file: Path) -> ast.Module:
    return ast.parse(file.read_bytes())


@functools.cache
def nodes_of(file: Path) -> tuple[ast.AST, ...]:
    """Return the imports and functions of a file, wherever in it; to walk a tree takes as long as to parse it."""
    kinds = ast.Import | ast.ImportFrom | ast.FunctionDef | ast.AsyncFunctionDef
    return tuple(node for node in ast.walk(tree_of(file)) if isinstance(node, kinds))


def imports_of(file: Path, *, top_level_only: bool = False) -> Iterator[str]:
    """Yield every module that a file imports, wherever in it; of ``from a import b`` both a and, if one, a.b."""
    nodes = tree_of(file).body if top_level_only else nodes_of(file)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{file} has a relative import; the floors are read from full names"
            assert node.module is not None
            submodules = [f"{node.module}.{alias.name}" for alias in node.names]
            known = [name for name in submodules if name in MODULES]
            yield from known
            if len(known) < len(submodules):
                yield node.module


def floor_of(module: str) -> int:
    prefix = module
    while prefix not in FLOORS or (prefix == "soak" and module != "soak"):
        assert "." in prefix, f"{module} stands on no floor; give it one"
        prefix = prefix.rpartition(".")[0]
    return FLOORS[prefix]


@functools.cache
def own_imports(package: str) -> dict[str, set[str]]:
    """Map each module of a package to the modules of the same package that it imports."""
    return {
        name: {imported for imported in imports_of(file) if imported.partition(".")[0] == package}
        for name, file in MODULES.items()
        if name.partition(".")[0] == package
    }


def foreign(file: Path, allowed: set[str], *, top_level_only: bool = False) -> set[str]:
    """Return what a file imports that is neither in the standard library nor one of the ``allowed`` packages."""
    tops = {name.partition(".")[0] for name in imports_of(file, top_level_only=top_level_only)}
    return tops - allowed - sys.stdlib_module_names


def test_a_module_imports_from_its_own_floor_or_below():
    """Imports inside functions count too."""
    too_high = [
        f"{module} imports {name}"
        for module, imported in own_imports("soak").items()
        for name in imported
        if floor_of(name) > floor_of(module)
    ]

    assert too_high == []


def test_the_reader_of_floors_sees_what_it_must():
    """The control of these tests: they see imports at the top and inside functions, and the order of the floors."""
    assert floor_of("soak.inside.ring") < floor_of("soak.units") < floor_of("soak.store.database")
    assert (
        floor_of("soak.running.component.supervisor")
        < floor_of("soak.reporting.formats.html")
        < floor_of("soak.commands.measuring.run")
    )
    assert "soak.reporting.formats.terminal" in set(imports_of(ROOT / "soak/commands/results/show.py"))
    assert "soak.reporting.formats.terminal" not in set(
        imports_of(ROOT / "soak/commands/results/show.py", top_level_only=True)
    )
    with pytest.raises(AssertionError, match=r"soak\.cellar stands on no floor"):
        floor_of("soak.cellar")


def test_the_face_does_not_import_what_moves():
    """What is shown is made of records; nothing has to run for that."""
    faces = ("soak.reporting", "soak.web")
    importers = {
        name
        for name, imported in own_imports("soak").items()
        if name.startswith(faces) and any(each.startswith("soak.running") for each in imported)
    }

    assert importers == set()


@pytest.mark.parametrize("package", ["soak", "decoder"])
def test_there_are_no_import_cycles(package: str):
    """Imports inside functions count too, also for cycles."""
    graph = own_imports(package)
    circles: list[list[str]] = []
    done: set[str] = set()

    def follow(module: str, path: list[str]) -> None:
        if module in path:
            circles.append([*path[path.index(module) :], module])
        elif module not in done:
            for imported in sorted(graph.get(module, ())):
                follow(imported, [*path, module])
            done.add(module)

    for module in sorted(graph):
        follow(module, [])

    assert circles == []


def test_what_runs_inside_imports_only_itself_and_the_standard_library():
    """It is put on the path of interpreters that have nothing of soak installed."""
    for file in files_of("soak/inside"):
        own = {name for name in imports_of(file) if name.startswith("soak")}
        assert {name for name in own if not name.startswith("soak.inside")} == set(), file
        assert foreign(file, {"soak"}) == set(), file


def test_what_runs_inside_is_written_for_python_3_8():
    """Its grammar is that of the oldest interpreter, and annotations are never evaluated."""
    for file in files_of("soak/inside"):
        text = file.read_text(encoding="utf-8")
        tree = ast.parse(text, str(file), feature_version=(3, 8))
        annotated = [
            node for node in ast.walk(tree) if isinstance(node, ast.AnnAssign | ast.arg) and node.annotation is not None
        ]
        assert not annotated or "from __future__ import annotations" in text, file


def test_only_the_store_imports_sqlite():
    importers = {name for name, file in MODULES.items() if "sqlite3" in set(imports_of(file))}

    assert {name for name in importers if not name.startswith("soak.store")} == set()


def test_only_one_module_outside_knows_the_words_of_the_ring():
    """What the measured process and its parent share is named once; all others ask for it by those names."""
    knowing = {
        name
        for name, file in MODULES.items()
        if not name.startswith("soak.inside") and re.search(r"\bWORD_[A-Z]", file.read_text(encoding="utf-8"))
    }

    assert knowing == {"soak.running.child.child_ring"}


def long_functions(package: str, most_lines: int) -> list[str]:
    """Return the functions of a package that have more lines than that, with their lines."""
    found = []
    for file in files_of(package):
        for node in nodes_of(file):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > most_lines:
                    found.append(f"{module_name(file)}.{node.name} ({lines} lines)")
    return found


def test_no_function_that_runs_something_is_long():
    """45 lines are what one can read at once."""
    assert long_functions("soak/running", 45) == []
    assert long_functions("soak/running", 35) != []  # the control: the reader of lengths sees what it must


def test_soak_and_the_systems_that_it_is_tried_on_know_nothing_of_each_other():
    for name, file in MODULES.items():
        package, others = name.partition(".")[0], {imported.partition(".")[0] for imported in imports_of(file)}
        assert not (package in WORKLOADS and others & ({"soak", "standalone_tests", *WORKLOADS} - {package})), name
        assert not (package == "soak" and others & {"standalone_tests", *WORKLOADS}), name


@pytest.mark.parametrize("file", files_of("standalone_tests"), ids=lambda file: file.name)
def test_a_driver_imports_only_what_it_drives(file: Path):
    """soak.inside only in the block that runs the driver by itself."""
    tree = ast.parse(file.read_bytes())
    main_blocks = [node for node in tree.body if isinstance(node, ast.If) and "__name__" in ast.unparse(node.test)]
    in_main = {
        imported.module for block in main_blocks for imported in ast.walk(block) if isinstance(imported, ast.ImportFrom)
    }

    everywhere = set(imports_of(file))

    assert foreign(file, {*WORKLOADS, "numpy", "matplotlib", "soak"}) == set()
    assert {name for name in everywhere if name.startswith("soak")} == {name for name in in_main if name is not None}
    assert in_main == {"soak.inside.standalone"}


def test_every_import_is_a_declared_dependency():
    """Nothing may need a package that is installed by chance."""
    declared = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    dependencies = set(
        re.findall(r'^    "([a-z0-9_-]+)', declared.partition("dependencies = [")[2].partition("]")[0], re.M)
    )

    imported = {name for module, file in MODULES.items() for name in foreign(file, set(PACKAGES))}
    imported -= {"PyTine", "gi", "h5py", "pco", "pypylon"}
    imported -= {"dask", "distributed", "dask_jobqueue"}  # of the extra [fleet]
    imported -= {"pytest", "_pytest"}  # pytest imports the plugin, not the plugin pytest
    distributions = {"prometheus_client": "prometheus-client"}
    imported = {distributions.get(name, name) for name in imported}

    assert imported <= dependencies
    assert "simplejpeg" in imported


@pytest.mark.parametrize(
    "module", sorted(name for name, file in MODULES.items() if "__all__" in file.read_text(encoding="utf-8"))
)
def test_the_public_names_are_those_of_all(module: str):
    """Each is there (a lazy one too), and nothing public is beside them but modules. ruff sorts them."""
    imported = importlib.import_module(module)

    beside = {
        name
        for name, value in vars(imported).items()
        if not name.startswith("_") and not isinstance(value, type(sys)) and type(value).__name__ != "_Feature"
    } - {"TYPE_CHECKING"}

    assert [name for name in imported.__all__ if not hasattr(imported, name)] == []
    assert beside <= set(imported.__all__)


PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
NAMED = set(re.findall(r"`(soak/[\w/.]*)`", PAGE))
"""The packages (with a slash at the end) and the modules of soak that the page names."""
ROOMS = {f"{file.parent.relative_to(ROOT)}/" for file in files_of("soak") if file.name == "__init__.py"}


def test_every_room_is_on_the_page_and_every_room_on_the_page_exists():
    """A newcomer would not find a package that the page does not name."""
    assert {name for name in NAMED if name.endswith("/")} == ROOMS
    assert "soak/running/component/" in ROOMS


def test_every_room_has_a_line_of_its_own_in_the_table():
    rows = re.findall(r"^[|] `(soak/[\w/]*)` [|]", PAGE.partition("## The rooms")[2].partition("## The way")[0], re.M)

    assert sorted(rows) == sorted(ROOMS)


def test_every_module_on_the_page_exists():
    modules = {name for name in NAMED if not name.endswith("/")}

    assert {name for name in modules if not (ROOT / name).is_file()} == set()
    assert "soak/analysis/rule.py" in modules


def test_no_two_files_of_tests_have_one_name():
    """Pytest imports them by their name alone."""
    names = Counter(file.name for file in (ROOT / "tests").rglob("test_*.py"))

    assert [name for name, count in names.items() if count > 1] == []
