"""Which conditions ask for a setting: what is set once, so that it has the same answer in each cycle and is no bound.

A setting is an attribute of an object that lives as long as the program, set where the object is made and nowhere else;
or a variable in capitals that the module sets once. Whether it is on, the code does not say: something must have run.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from soak.attribution.keepers.code.conditions import NO_SETTINGS, Settings
from soak.attribution.keepers.code.lifetimes import Program, is_made_once
from soak.attribution.keepers.code.source import Function, Source, knows_no_program, nodes_of

_MAKER = "__init__"


def settings_asked(function: Function, source: Source, program: Program) -> Settings:
    """Return the settings that conditions of a function ask for."""
    conditions = [node.test for node in nodes_of(function) if isinstance(node, ast.If)]
    asked = [node for test in conditions for node in ast.walk(test)]
    if not asked:
        return NO_SETTINGS
    aliases = dict(_aliases(function))
    names = {node.id for node in asked if isinstance(node, ast.Name)}
    attributes = {*map(_own_attribute, asked), *(_own_attribute(aliases[name]) for name in names & aliases.keys())}
    flags = set(constants_of(source, program) & names)
    same = set[str]()
    for name in attributes - {None}:
        values = set_once(name or "", function, source, program)
        if values:
            written = {f"self.{name}", *(alias for alias, value in aliases.items() if _own_attribute(value) == name)}
            same |= written
            flags |= written if all(map(_is_truth, values)) else set()
    return Settings(frozenset(same), frozenset(flags))


def constants_of(source: Source, program: Program) -> frozenset[str]:
    """Return the constants of a module that are true or false for ever: no other code sets them."""
    return frozenset(name for name in source.constants if _is_set_here_alone(name, source, program))


def numbers_of(source: Source, program: Program) -> frozenset[str]:
    """Return the constants of a module that are a number above 0 for ever: no other code sets them."""
    return frozenset(name for name in source.numbers if _is_set_here_alone(name, source, program))


def _is_set_here_alone(name: str, source: Source, program: Program) -> bool:
    known = program.mentioning(name)
    speaking = [each for each in known or () if not knows_no_program(each, source)]
    uses = [(use, each) for each in speaking for use in each.uses(name)]
    return known is not None and not any(
        isinstance(use, ast.Constant | ast.Global) or _is_stored(use) or (each is not source and _is_name_stored(use))
        for use, each in uses
    )


def _own_attribute(node: ast.expr | ast.AST) -> str | None:
    match node:
        case ast.Attribute(value=ast.Name(id="self"), attr=name):
            return name
        case _:
            return None


def _aliases(function: Function) -> Iterator[tuple[str, ast.expr]]:
    """Give the variables that a function sets once, to an attribute of its object, each with that."""
    arguments = [node.arg for node in ast.walk(function.args) if isinstance(node, ast.arg)]
    stored = [n.id for n in nodes_of(function) if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load)]
    shared = {name for n in nodes_of(function) if isinstance(n, ast.Global | ast.Nonlocal) for name in n.names}
    for node in nodes_of(function):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if _own_attribute(value) is not None:
                if stored.count(name) == 1 and name not in arguments and name not in shared:
                    yield name, value


def set_once(name: str, function: Function, source: Source, program: Program) -> list[ast.expr]:
    """Return what an attribute is set to when its object is made, which is once; nothing if it may be set again."""
    own = source.class_of(function)
    makers = [each for each in own.body if isinstance(each, Function) and each.name == _MAKER] if own else []
    if own is None or len(makers) != 1 or not is_made_once(own, makers[0], program):
        return []
    known = program.mentioning(name)
    uses = [(use, each) for each in known or () for use in each.uses(name)]
    if known is None or any(isinstance(use, ast.Constant) for use, _ in uses):
        return []  # setattr, or a property of this name
    stored = [(use, each) for use, each in uses if _is_stored(use)]
    if any(_own_attribute(use) is None or not _is_in_maker(use, each) for use, each in stored):
        return []
    return [_value_of(use, each) for use, each in stored if each.class_of(use) is own and each is source]


def _is_stored(use: ast.AST) -> bool:
    return isinstance(use, ast.Attribute) and not isinstance(use.ctx, ast.Load)


def _is_in_maker(use: ast.AST, source: Source) -> bool:
    around = source.function_of(use)
    return isinstance(around, Function) and around.name == _MAKER


def _value_of(use: ast.AST, source: Source) -> ast.expr:
    """Return what is assigned to an attribute, also of ``self.a, self.b = a, b``; of an argument its annotation."""
    statement = source.parent(use)
    value: ast.expr = ast.Constant(value=None)
    match statement:
        case ast.Assign(value=assigned) | ast.AnnAssign(value=ast.expr() as assigned):
            value = assigned
        case ast.Tuple(elts=names) if isinstance(around := source.parent(statement), ast.Assign):
            if isinstance(around.value, ast.Tuple) and len(around.value.elts) == len(names):
                value = around.value.elts[names.index(use)]  # type: ignore[arg-type]  # it is one of them
    maker = source.function_of(use)
    if isinstance(value, ast.Name) and isinstance(maker, Function):
        arguments = (node for node in ast.walk(maker.args) if isinstance(node, ast.arg))
        return next((each.annotation for each in arguments if each.arg == value.id and each.annotation), value)
    return value


def _is_truth(value: ast.expr) -> bool:
    """Whether a value is true or false and stays so: a comparison, ``True``, or what is annotated as ``bool``."""
    match value:
        case ast.Compare() | ast.Constant(value=bool()) | ast.Name(id="bool"):
            return True
        case ast.Call(func=ast.Name(id="bool")):
            return True
        case _:
            return False


def _is_name_stored(use: ast.AST) -> bool:
    return isinstance(use, ast.Name) and not isinstance(use.ctx, ast.Load)
