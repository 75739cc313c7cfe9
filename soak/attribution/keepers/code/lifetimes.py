"""Does a container live as long as the program? It depends on how often the code runs that makes it.

It does where it is made once: by a module, in the body of a class, by an object that is made once, as a variable of a
function that is called once and whose inner function adds to it, or as the default of an argument that nobody passes.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass

from soak.attribution.keepers.code.source import Container, Function, Source
from soak.attribution.keepers.code.uses import is_local, is_made, is_new_container

_ONCE = "setup"
"""The function of a driver that runs once, before the first cycle."""
_MAKER = "__init__"
_DEFAULTS = "__defaults__"


@dataclass(frozen=True)
class Program:
    """The files that have run."""

    mentioning: Callable[[str], list[Source] | None]
    """Returns the files in which a name occurs; None if it may occur in one that cannot be read."""
    driver: str
    """The file whose function is the cycle; empty if it is no driver, whose setup runs once."""
    is_uncalled: Callable[[ast.AST, Source], bool]
    """Tells whether a node stands in a function of that file which nothing calls in the cycles."""

    def calls_once(self, name: str, within: tuple[str, ...] = ()) -> list[ast.Call] | None:
        """Return the calls of a function or class; None if one of them may run again, or not all are known.

        ``within``: the classes of objects that it is made by.
        """
        known = self.mentioning(name)
        spoken = [(use, each) for each in known or () for use in each.uses(name)]
        made = [(use, each) for use, each in spoken if not (isinstance(use, ast.alias) and use.asname is None)]
        made = [(u, each) for u, each in made if not (each.is_annotation(u) or self._is_in_uncalled(u, each))]
        calls = [each.parent(use) for use, each in made if self._is_call_made_once(use, each, within)]
        found = [call for call in calls if isinstance(call, ast.Call)]
        return found if made and len(found) == len(made) else None

    def _is_in_uncalled(self, use: ast.AST, source: Source) -> bool:
        """Whether a use is in a function of a module that no file names: it is not part of the cycles.

        The functions of the driver's file are called by soak, and a decorator may give a function to code that calls
        it.
        """
        around = source.function_of(use)
        if not self.driver or source.file == self.driver or not isinstance(around, Function) or around.decorator_list:
            return False
        known = self.mentioning(around.name) if isinstance(source.parent(around), ast.Module) else None
        return known is not None and not any(each.uses(around.name) for each in known)

    def _is_call_made_once(self, use: ast.AST, source: Source, within: tuple[str, ...]) -> bool:
        """Whether a use of a name calls it in code that runs once.

        It does in a module, in a driver's setup, and in what makes an object that is made once.
        """
        parent, around = source.parent(use), source.function_of(use)
        is_call = isinstance(parent, ast.Call) and parent.func is use
        if not is_call or around is None or not isinstance(around, Function):
            return is_call and around is None
        own = source.class_of(around)
        if own is None or around.name != _MAKER:
            return source.file == self.driver and around.name == _ONCE
        is_plain = source.parent(around) is own and not own.decorator_list and own.name not in within
        return is_plain and self.calls_once(own.name, (*within, own.name)) is not None


def is_permanent(container: Container, node: ast.AST, source: Source, program: Program) -> bool:
    """Whether the container that ``node`` adds to is made once, by the same file."""
    if container.base is None and (owner := _has_default(container.name, node, source)) is not None:
        return _is_never_passed(container.name, owner, source, program)
    made = [use for use in source.uses(container.name) if is_made(use, source)]
    if len(made) != 1:
        return False
    around = source.function_of(made[0])
    if container.base is None:
        if isinstance(around, Function):
            return _is_of_closure(container.name, node, around, source, program)
        return around is None and source.class_of(made[0]) is None and not is_local(container.name, node, source)
    own = class_of_base(container.base, node, source)
    if own is None or source.class_of(made[0]) is not own:
        return False
    return around is None or (isinstance(around, Function) and is_made_once(own, around, program))


def is_made_once(own: ast.ClassDef, maker: Function, program: Program) -> bool:
    """Whether all objects of a class are made by code that runs once, so that they live as long as the program."""
    return maker.name == _MAKER and not own.decorator_list and program.calls_once(own.name) is not None


def class_of_base(base: str, node: ast.AST, source: Source) -> ast.ClassDef | None:
    """Return the class whose object or which itself ``base`` is; None if that is not known."""
    own = source.class_of(node)
    if base in ("self", "cls"):
        return own
    if own is not None and base == own.name:
        return own
    if is_local(base, node, source):
        return None
    value = value_of_variable(base, source)
    if not isinstance(value, ast.Call) or not isinstance(value.func, ast.Name):
        return None
    named = [each for each in source.tree.body if isinstance(each, ast.ClassDef) and each.name == value.func.id]
    return named[0] if len(named) == 1 else None


def value_of_variable(name: str, source: Source) -> ast.expr | None:
    """Return what a variable of the module is set to, in the module and nowhere else; None if that is not so."""
    stored = [use for use in source.uses(name) if isinstance(getattr(use, "ctx", None), ast.Store | ast.Del)]
    statement = source.parent(stored[0]) if len(stored) == 1 else None
    value = statement.value if isinstance(statement, ast.Assign) and statement.targets == stored else None
    is_of_module = value is not None and source.function_of(value) is None and source.class_of(value) is None
    return value if is_of_module else None


def _is_of_closure(name: str, node: ast.AST, maker: Function, source: Source, program: Program) -> bool:
    """Whether a variable of ``maker``, to which a function within it adds, is made once: the maker is called once."""
    between = []
    for _, parent in source.path(node):
        if parent is maker:
            break
        between.append(parent)
    else:
        return False
    inner = [each for each in between if isinstance(each, Function)]
    is_own = any(is_local(name, each.body[0], source, within=each) for each in inner)
    is_plain = isinstance(source.parent(maker), ast.Module) and not maker.decorator_list
    return bool(inner) and not is_own and is_plain and program.calls_once(maker.name) is not None


def _has_default(name: str, node: ast.AST, source: Source) -> Function | None:
    """Return the function around a node that has an argument of this name whose default is a new container."""
    around = source.function_of(node)
    if not isinstance(around, Function):
        return None
    positional = [*around.args.posonlyargs, *around.args.args]
    defaults = dict(zip(reversed([each.arg for each in positional]), reversed(around.args.defaults), strict=False))
    named = zip(around.args.kwonlyargs, around.args.kw_defaults, strict=True)
    defaults |= {each.arg: default for each, default in named if default is not None}
    return around if name in defaults and is_new_container(defaults[name]) else None


def _is_never_passed(name: str, owner: Function, source: Source, program: Program) -> bool:
    """Whether an argument always has its default, and the function is made once."""
    above = source.parent(owner)
    is_method = isinstance(above, ast.ClassDef) and isinstance(source.parent(above), ast.Module)
    if not is_method and not isinstance(above, ast.Module):
        return False
    arguments = [each.arg for each in (*owner.args.posonlyargs, *owner.args.args)]
    most = arguments.index(name) - is_method if name in arguments else len(arguments)
    known = program.mentioning(owner.name)
    if known is None or any(_DEFAULTS in each.text for each in known):
        return False
    return all(
        _leaves_default(name, most, use, each)
        for each in known
        for use in each.uses(owner.name)
        if not (isinstance(use, ast.alias) and use.asname is None)
    )


def _leaves_default(name: str, most: int, use: ast.AST, source: Source) -> bool:
    call = source.parent(use)
    if not isinstance(call, ast.Call) or call.func is not use or len(call.args) > most:
        return False
    is_spread = any(isinstance(each, ast.Starred) for each in call.args)
    return not is_spread and not any(keyword.arg in (None, name) for keyword in call.keywords)
