"""Calls a function with a module when the program has imported it."""

from __future__ import annotations

import contextlib
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    Hook = Callable[[ModuleType], object]


class AfterImport:
    """Finds modules as the interpreter does, and calls hooks after they have been loaded."""

    def __init__(self) -> None:
        self._hooks: dict[str, list[Hook]] = {}
        self._searched: set[str] = set()

    def add(self, name: str, hook: Hook) -> None:
        """Call ``hook`` after a module has been imported; at once when it has been already."""
        module = sys.modules.get(name)
        if module is not None:
            _call(hook, module)
            return
        if not self._hooks:
            sys.meta_path.insert(0, self)
        self._hooks.setdefault(name, []).append(hook)

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Return the spec that the other finders find for a module with hooks; None for others."""
        if name not in self._hooks or name in self._searched:
            return None
        self._searched.add(name)
        try:
            others = (finder for finder in list(sys.meta_path) if finder is not self)
            spec = next(filter(None, (finder.find_spec(name, path, target) for finder in others)), None)
        finally:
            self._searched.discard(name)
        if spec is not None and hasattr(spec.loader, "exec_module"):
            spec.loader = _Loader(spec.loader, self)  # type: ignore[assignment]
        return spec

    def loaded(self, module: ModuleType) -> None:
        """Call the hooks of a module, and step aside when there are no others."""
        for hook in self._hooks.pop(module.__name__, ()):
            _call(hook, module)
        if not self._hooks:
            with contextlib.suppress(ValueError):
                sys.meta_path.remove(self)


class _Loader:
    """A module's own loader, which tells when it has loaded."""

    def __init__(self, loader: Any, after_import: AfterImport) -> None:
        self._loader, self._after_import = loader, after_import

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Have the module created as without soak."""
        created: ModuleType | None = self._loader.create_module(spec)
        return created

    def exec_module(self, module: ModuleType) -> None:
        """Have the module loaded as without soak, and then call the hooks."""
        assert module.__spec__ is not None
        module.__spec__.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)
        self._after_import.loaded(module)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)


def _call(hook: Hook, module: ModuleType) -> None:
    with contextlib.suppress(Exception):  # another version of a framework must not stop the program
        hook(module)
