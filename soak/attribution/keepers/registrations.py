"""Find out from source code whether each cycle registers something that stays: a probe, a handler, an exit function.

A library keeps what is registered with one of its objects in a list without a bound, until somebody takes it out again.
It stays where the object lives as long as the program, and no file of the program has the word that would take it out.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from soak.attribution.keepers.code.lifetimes import Program, value_of_variable
from soak.attribution.keepers.code.settings import set_once
from soak.attribution.keepers.code.source import Function, Source, nodes_of
from soak.attribution.keepers.code.uses import is_local


@dataclass(frozen=True)
class Registry:
    """What a method adds to."""

    things: str
    """What it keeps, in the plural."""
    removing: tuple[str, ...]
    """Words that a program needs to take one out again, or to have it taken out."""


_BY_METHOD = {
    "add_probe": Registry("probes", ("remove_probe", "REMOVE")),
    "addHandler": Registry("handlers", ("removeHandler", "handlers")),
    "addFilter": Registry("filters", ("removeFilter", "filters")),
}
_OF_MODULES = {
    ("atexit", "register"): Registry("functions", ("unregister", "_clear", "_run_exitfuncs")),
    ("os", "register_at_fork"): Registry("functions", ()),
    ("sys", "addaudithook"): Registry("hooks", ()),
}
_SAME_EACH_TIME = ("getLogger", "getChild", "get_static_pad")
"""Methods that return the same object for the same arguments."""


def registrations(function: Function, source: Source, program: Program) -> Iterator[tuple[ast.Call, str]]:
    """Give the calls of a function that register something for good, each with the words for what keeps it."""
    for node in nodes_of(function):
        match node:
            case ast.Call(func=ast.Attribute(value=owner, attr=method)) if source.function_of(node) is function:
                found = _registry(owner, method, function, source, program)
                if found is not None and not _is_taken_out(method, found, program):
                    yield node, f"the {found.things} of {ast.unparse(owner)}"


def _registry(owner: ast.expr, method: str, function: Function, source: Source, program: Program) -> Registry | None:
    if isinstance(owner, ast.Name) and (owner.id, method) in _OF_MODULES and _imports(owner.id, source):
        return None if is_local(owner.id, owner, source) else _OF_MODULES[owner.id, method]
    found = _BY_METHOD.get(method)
    return found if found is not None and _is_for_ever(owner, function, source, program) else None


def _imports(name: str, source: Source) -> bool:
    """Whether a file's name of a module is that module."""
    modules = [alias for node in source.nodes if isinstance(node, ast.Import) for alias in node.names]
    return any(alias.name == name and alias.asname is None for alias in modules)


def _is_taken_out(method: str, registry: Registry, program: Program) -> bool:
    """Whether a file may take out what was registered. The library's own, which defines the method, asks nobody to."""
    for word in registry.removing:
        known = program.mentioning(word)
        if known is None or any(each.uses(word) and not _defines(method, each) for each in known):
            return True
    return False


def _defines(method: str, source: Source) -> bool:
    return any(isinstance(node, Function) and node.name == method for node in source.nodes)


def _is_for_ever(owner: ast.expr, function: Function, source: Source, program: Program) -> bool:
    """Whether an expression is the same object whenever it is asked for."""
    match owner:
        case ast.Call(func=ast.Attribute(value=inner, attr=method), args=arguments, keywords=[]):
            is_same = method in _SAME_EACH_TIME and all(map(_is_same_text, arguments))
            return is_same and (_is_module(inner, source) or _is_for_ever(inner, function, source, program))
        case ast.Attribute(value=ast.Name(id="self"), attr=name):
            return bool(set_once(name, function, source, program))
        case ast.Name(id=name):
            return not is_local(name, owner, source) and _is_set_by_module(name, source, program)
        case _:
            return False


def _is_same_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) or (isinstance(node, ast.Name) and node.id == "__name__")


def _is_module(node: ast.expr, source: Source) -> bool:
    return isinstance(node, ast.Name) and not is_local(node.id, node, source) and _imports(node.id, source)


def _is_set_by_module(name: str, source: Source, program: Program) -> bool:
    """Whether a variable is set once, by its module, and no other file sets it as an attribute or by its name."""
    known = program.mentioning(name)
    if known is None or value_of_variable(name, source) is None:
        return False
    return not any(_may_set(use) for each in known for use in each.uses(name))


def _may_set(use: ast.AST) -> bool:
    is_attribute_set = isinstance(use, ast.Attribute) and not isinstance(use.ctx, ast.Load)
    return is_attribute_set or isinstance(use, ast.Constant | ast.Global)
