"""The code of a target, as far as it lies beside it: what it imports, and whether it hides an installed package."""

from __future__ import annotations

import ast
import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from soak.errors import UsageError
from soak.targets import Target


def import_folders(target: Target, base: Path) -> list[Path]:
    """Return the folders that the measured process looks for modules in before those of its interpreter."""
    own = [Path(target.path).parent] if target.path else []
    given = [Path(entry) for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    return [*own, base, *given]


def check_path(modules: Iterable[str], folders: Iterable[Path]) -> None:
    """Raise UsageError when one of ``folders`` has a module of an installed package's that would come before it."""
    names = list(modules)
    for folder in folders:
        found = next((file for name in names for file in _sources(folder, name)), None)
        if found is not None:
            raise UsageError(
                f"{found} comes first on the path and would be measured in place of the installed release; run this in "
                "another folder, with the target in it, and without PYTHONPATH"
            )


def digest_of_code(target: Target, base: Path) -> str:
    """Return what changes with the code of a target: its file, and the modules beside it that it imports.

    What these import in their turn counts too; data that they read does not.
    """
    digest = hashlib.sha256()
    folders = import_folders(target, base)
    pending = [Path(target.path)] if target.path else _find((target.module or "").partition(".")[0], folders)
    seen = set(pending)
    while pending:
        source = pending.pop().read_bytes()
        digest.update(source)
        imported = [file for name in _imported(source) for file in _find(name, folders) if file not in seen]
        seen.update(imported)
        pending += imported
    return digest.hexdigest()


def _find(name: str, folders: Iterable[Path]) -> list[Path]:
    return [file for folder in folders for file in _sources(folder, name)]


def _sources(folder: Path, name: str) -> Iterator[Path]:
    """Yield the files that ``import name`` may load from a folder: a package's, a module, an extension."""
    if (folder / name / "__init__.py").is_file():
        yield from sorted((folder / name).rglob("*.py"))
    for pattern in (f"{name}.py", f"{name}.so", f"{name}.*.so"):
        yield from sorted(folder.glob(pattern))


def _imported(source: bytes) -> list[str]:
    """Return the first part of the name of each module that a source imports; of what is no Python none."""
    try:
        nodes = list(ast.walk(ast.parse(source)))
    except (SyntaxError, ValueError):
        return []
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level]
    return sorted({name.partition(".")[0] for name in names})
