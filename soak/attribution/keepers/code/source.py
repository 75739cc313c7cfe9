"""A file of Python code: what is around a node of its syntax tree, and which nodes speak of a name."""

from __future__ import annotations

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

Function = ast.FunctionDef | ast.AsyncFunctionDef
_OF_PYTHON = re.compile(r"[/\\]lib(64)?[/\\]python\d\.\d+[a-z]?[/\\](?!(site|dist)-packages)|^<", re.IGNORECASE)
_MOST_TREES = 4096
"""Whose nodes are kept: the functions of a program and its libraries that are looked at again and again."""


@lru_cache(_MOST_TREES)
def nodes_of(tree: ast.AST) -> tuple[ast.AST, ...]:
    """Return all nodes of a tree, itself first, as `ast.walk` gives them."""
    return tuple(ast.walk(tree))


class Source:
    """One parsed file."""

    def __init__(self, file: str, text: str) -> None:
        """Parse. Raises SyntaxError or ValueError if it is no Python of this version."""
        self.file, self.text = file, text
        self.tree = ast.parse(text)

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """All nodes of the tree."""
        return list(ast.walk(self.tree))

    @cached_property
    def _uses(self) -> dict[str, list[ast.AST]]:
        found: defaultdict[str, list[ast.AST]] = defaultdict(list)
        for node in self.nodes:
            for name in _names_in(node):
                found[name].append(node)
        return dict(found)

    def uses(self, name: str) -> Sequence[ast.AST]:
        """Return every node that speaks of a name, also as a text."""
        return self._uses.get(name, ())

    @cached_property
    def imported(self) -> frozenset[str]:
        """The packages of which it imports anything."""
        names = [alias.name for node in self.nodes if isinstance(node, ast.Import) for alias in node.names]
        names += [node.module or "" for node in self.nodes if isinstance(node, ast.ImportFrom)]
        return frozenset(name.split(".")[0] for name in names)

    def imports(self, name: str) -> bool:
        """Whether it imports a name from another file, also by a star."""
        aliases = [alias for node in self.nodes if isinstance(node, ast.ImportFrom) for alias in node.names]
        return any(alias.name == "*" or name in (alias.name, alias.asname) for alias in aliases)

    @cached_property
    def constants(self) -> frozenset[str]:
        """The variables in capitals that the module sets once, to a truth value."""
        return frozenset(name for name, value in self._set_once.items() if _is_truth(value))

    @cached_property
    def numbers(self) -> frozenset[str]:
        """The variables in capitals that the module sets once, to a number above 0 that is written out."""
        values = ((n, v.value) for n, v in self._set_once.items() if isinstance(v, ast.Constant))
        return frozenset(name for name, value in values if type(value) is int and value > 0)

    @cached_property
    def _set_once(self) -> dict[str, ast.expr]:
        """The variables in capitals that the module sets once, each with its value."""
        found = {}
        for statement in self.tree.body:
            match statement:
                case ast.Assign(targets=[ast.Name(id=name)], value=value) if (
                    name.isupper() and self.bindings[name] == 1
                ):
                    found[name] = value
        return found

    @cached_property
    def bindings(self) -> Counter[str]:
        """How often each name is given a value, as a variable of the module or of a function."""
        return Counter(name for node in self.nodes for name in _names_bound_by(node))

    @cached_property
    def functions(self) -> list[Function]:
        """All functions, also those in classes and in other functions."""
        return [node for node in self.nodes if isinstance(node, Function)]

    def functions_with(self, name: str) -> list[Function]:
        """Return the functions in which a name is spoken of."""
        around = {parent for use in self.uses(name) for _, parent in self.path(use) if isinstance(parent, Function)}
        return [function for function in self.functions if function in around]

    @cached_property
    def _parents(self) -> dict[ast.AST, ast.AST]:
        return {child: node for node in self.nodes for child in ast.iter_child_nodes(node)}

    def function_at(self, line: int, name: str) -> Function | None:
        """Return the innermost function with a line in it; None if it has another name, other than a comprehension."""
        around = [each for each in self.functions if each.lineno <= line <= (each.end_lineno or each.lineno)]
        innermost = max(around, key=lambda each: each.lineno, default=None)
        is_known = innermost is not None and name.rsplit(".", 1)[-1] in (
            innermost.name,
            "<listcomp>",
            "<setcomp>",
            "<dictcomp>",
        )
        return innermost if is_known else None

    def parent(self, node: ast.AST) -> ast.AST | None:
        """Return the node around a node."""
        return self._parents.get(node)

    def path(self, node: ast.AST) -> Iterator[tuple[ast.AST, ast.AST]]:
        """Give a node with its parent, its parent with the next one, and so on."""
        while (parent := self._parents.get(node)) is not None:
            yield node, parent
            node = parent

    def function_of(self, node: ast.AST) -> Function | ast.Lambda | None:
        """Return the function that a node is part of; None at the level of the module or of a class."""
        return next((parent for _, parent in self.path(node) if isinstance(parent, Function | ast.Lambda)), None)

    def is_annotation(self, node: ast.AST) -> bool:
        """Whether a node is part of an annotation, which makes nothing and changes nothing."""
        for inner, parent in self.path(node):
            around = (getattr(parent, "annotation", None), getattr(parent, "returns", None))
            if any(each is inner for each in around):
                return True
            if isinstance(parent, ast.stmt):
                return False
        return False

    def class_of(self, node: ast.AST) -> ast.ClassDef | None:
        """Return the innermost class that a node is part of."""
        return next((parent for _, parent in self.path(node) if isinstance(parent, ast.ClassDef)), None)


def _is_truth(value: ast.expr) -> bool:
    return isinstance(value, ast.Compare) or (isinstance(value, ast.Constant) and isinstance(value.value, bool))


def names_read(nodes: Iterable[ast.AST]) -> set[str]:
    """Return the names that are read in some nodes."""
    found = set()
    for node in nodes:
        if isinstance(node, ast.Name | ast.Attribute):
            found.add(node.id if isinstance(node, ast.Name) else node.attr)
    return found


def _names_in(node: ast.AST) -> set[str]:
    """Return the names that a node itself speaks of."""
    match node:
        case ast.Constant(value=str(text)):
            return {text}
        case ast.alias(name=name, asname=other):
            return {name, other or name}
        case ast.Nonlocal(names=names) | ast.Global(names=names):
            return set(names)
        case _:
            spoken = getattr(node, "id", None), getattr(node, "attr", None), getattr(node, "arg", None)
            return {name for name in spoken if name is not None}


def _names_bound_by(node: ast.AST) -> list[str]:
    """Return the names that a node itself gives a value, as a variable of whatever module or function."""
    match node:
        case ast.Name(ctx=ast.Store() | ast.Del(), id=name):
            return [name]
        case ast.arg(arg=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.alias(name=name, asname=other):
            return [other or name]
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            return [name]
        case ast.MatchMapping(rest=str(name)):
            return [name]
        case _:
            return []


def knows_no_program(each: Source, source: Source) -> bool:
    """Whether a file is Python's own and ``source`` is not: what it names is of the program by inheritance only."""
    return is_of_standard_library(each.file) and not is_of_standard_library(source.file)


def is_of_standard_library(file: str) -> bool:
    """Whether a file is one of Python itself, or code without a file."""
    return _OF_PYTHON.search(file) is not None


@dataclass(frozen=True)
class Container:
    """What something is added to, as the code names it."""

    name: str
    base: str | None
    """The variable of which it is an attribute; None of a variable."""
    holds_lists: bool = False
    """What is added to is one of its own values, a list."""

    def __str__(self) -> str:
        return self.name if self.base is None else f"{self.base}.{self.name}"


def container_of(node: ast.expr | None) -> Container | None:
    """Return what an expression names; None if it is neither a variable nor an attribute of one."""
    if isinstance(node, ast.Name):
        return Container(node.id, None)
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return Container(node.attr, node.value.id)
    return None
