"""Is a key of a dict another one each time? Told by the expression that makes it."""

from __future__ import annotations

import ast
import contextlib
import re
from collections.abc import Iterator, Sequence

from soak.attribution.keepers.code.conditions import body_of, passed_by, set_in
from soak.attribution.keepers.code.lifetimes import Program, is_made_once
from soak.attribution.keepers.code.source import Container, Function, Source, container_of, knows_no_program, nodes_of
from soak.attribution.keepers.code.uses import assigned_to, is_always_new, is_local, may_be_of_other_file

_PARTS_OF_NEW = ("hex", "int", "bytes", "urn")
"""What a UUID is called in other forms."""
_FORMS = ("str", "repr")
_CONVERSION = re.compile(r"%(%|0?\d*[dixXo]|[sr])")
"""What stands in a template for a value without loss."""
_WHOLE = ("s", "r")
_MAKER = "__init__"
_COMPARED_BY = ("__eq__", "__hash__", "__new__")
"""What has objects of a class be equal to others, or be an old one."""
_ANY = Container("", None)
"""Stands for the container where it is not known which: then no length of it is a new key."""


class Keys:
    """Tells of keys whether they are new, in the functions that each cycle calls."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._reached: list[tuple[Function, Source]] = []
        self._new_arguments: frozenset[str] = frozenset()

    @contextlib.contextmanager
    def within(self, function: Function, source: Source) -> Iterator[None]:
        """Look at a function that each cycle calls."""
        arguments = self._new_arguments
        if self._reached[-1][0] is not function:
            self._new_arguments = frozenset()
        self._reached.append((function, source))
        yield
        self._reached.pop()
        self._new_arguments = arguments

    def enter(self, function: Function, source: Source, calls: Sequence[ast.Call] = ()) -> None:
        """Go on in a function that each cycle calls. ``calls``: of the line of the function before, which called it."""
        new = {name for name, value in passed_by(calls, function).items() if self.is_new(value)}
        self._new_arguments = frozenset(new - set_in(function))
        self._reached.append((function, source))

    def is_new(self, key: ast.expr, container: Container = _ANY) -> bool:
        """Whether a key is another one each time that the function entered last runs."""
        match key:
            case ast.Call():
                return self._is_new_call(key, container)
            case ast.Attribute(value=ast.Call()):
                return key.attr in _PARTS_OF_NEW and self.is_new(key.value, container)
            case ast.JoinedStr():
                parts = [part for part in key.values if isinstance(part, ast.FormattedValue)]
                return any(part.format_spec is None and self.is_new(part.value, container) for part in parts)
            case ast.Tuple():
                return any(self.is_new(part, container) for part in key.elts)
            case ast.BinOp(op=ast.Add()):
                sides = (key.left, key.right), (key.right, key.left)
                return any(isinstance(one, ast.Constant) and self.is_new(other, container) for one, other in sides)
            case ast.BinOp(op=ast.Mod(), left=ast.Constant(value=str() as template)):
                return self._is_new_text(template, key.right, container)
            case ast.Name() | ast.Attribute():
                return self._is_new_name(key, container)
            case _:
                return False

    def _is_new_text(self, template: str, values: ast.expr, container: Container) -> bool:
        """Whether ``template % values`` is new: a value is, and all of it is written out."""
        conversions = [each for each in _CONVERSION.findall(template) if each != "%"]
        parts = values.elts if isinstance(values, ast.Tuple) else [values]
        if "%" in _CONVERSION.sub("", template) or len(parts) != len(conversions):
            return False
        return any(
            self.is_new(part, container) and (conversion in _WHOLE or self._is_new_integer(part))
            for part, conversion in zip(parts, conversions, strict=True)
        )

    def _is_new_integer(self, value: ast.expr) -> bool:
        """Whether a new value is an integer, of which ``%d`` cuts nothing off."""
        _, source = self._reached[-1]
        is_name = isinstance(value, ast.Name | ast.Attribute)
        is_local_name = isinstance(value, ast.Name) and is_local(value.id, value, source)
        return is_name and not is_local_name and self._counts_up(value, source)  # type: ignore[arg-type]

    def _is_new_call(self, call: ast.Call, container: Container) -> bool:
        name = getattr(call.func, "id", getattr(call.func, "attr", None))
        if len(call.args) == 1 and isinstance(call.func, ast.Name) and not call.keywords:
            if name == "next":
                return self._is_endless_count(call.args[0])
            if name in _FORMS:
                return self.is_new(call.args[0], container)
        return is_always_new(call, container) or _makes_object(call, self._reached[-1][1])

    def _is_new_name(self, name: ast.Name | ast.Attribute, container: Container) -> bool:
        function, source = self._reached[-1]
        if isinstance(name, ast.Name) and is_local(name.id, name, source):
            return self._is_new_local(name.id, function, container)
        return self._counts_up(name, source)

    def _is_new_local(self, name: str, function: Function, container: Container) -> bool:
        """Whether a variable of the function is given one value, always, and that is a new one."""
        if name in self._new_arguments:
            return True
        nodes = nodes_of(function)
        stored = [each for each in nodes if isinstance(each, ast.Name) and each.id == name]
        stored = [each for each in stored if not isinstance(each.ctx, ast.Load)]
        if len(stored) != 1 or any(isinstance(each, ast.arg) and each.arg == name for each in nodes):
            return False
        assigned = [each for each in nodes if isinstance(each, ast.Assign) and each.targets == stored]
        return any(body_of(function).always_reaches(each) and self.is_new(each.value, container) for each in assigned)

    def _counts_up(self, name: ast.Name | ast.Attribute, source: Source) -> bool:
        """Whether a number only goes up: set once, and raised by each cycle."""
        spoken = self._uses_of(name, source)
        if spoken is None:
            return False
        raised = [each for each in spoken if _raises(source.parent(each))]
        others = [each for each in spoken if each not in raised and not _only_reads(each)]
        is_begun_once = len(others) == 1 and _is_number(assigned_to(others[0], source))
        return is_begun_once and any(self._is_always_reached(source.parent(each)) for each in raised)

    def _is_endless_count(self, name: ast.expr) -> bool:
        """Whether a variable is an ``itertools.count()``, made once."""
        _, source = self._reached[-1]
        spoken = self._uses_of(name, source) if isinstance(name, ast.Name | ast.Attribute) else None
        if spoken is None:
            return False
        others = [each for each in spoken if not _only_reads(each)]
        made = assigned_to(others[0], source) if len(others) == 1 else None
        is_call = isinstance(made, ast.Call) and not made.args and not made.keywords
        return is_call and getattr(made.func, "id", getattr(made.func, "attr", None)) == "count"  # type: ignore[union-attr]

    def _uses_of(self, name: ast.Name | ast.Attribute, source: Source) -> list[ast.AST] | None:
        """Return all uses of a variable of a module or of an object that is made once; None if it may be another."""
        container = container_of(name)
        if container is None:
            return None
        spoken = list(source.uses(container.name))
        if container.base is not None:
            begun = [each for each in spoken if not _only_reads(each) and not _raises(source.parent(each))]
            maker = source.function_of(begun[0]) if len(begun) == 1 else None
            own = source.class_of(name)
            if container.base != "self" or own is None or not isinstance(maker, Function) or maker.name != _MAKER:
                return None
            if source.class_of(maker) is not own or not is_made_once(own, maker, self._program):
                return None
        elif any(source.function_of(each) or source.class_of(each) for each in spoken if assigned_to(each, source)):
            return None
        known = self._program.mentioning(container.name)
        is_elsewhere = any(
            may_be_of_other_file(use, container, each) and not _only_reads(use)
            for each in known or ()
            if each is not source and not knows_no_program(each, source)
            for use in each.uses(container.name)
        )
        return None if known is None or is_elsewhere else spoken

    def _is_always_reached(self, statement: ast.AST | None) -> bool:
        """Whether each cycle runs a statement."""
        return isinstance(statement, ast.stmt) and any(
            source.function_of(statement) is function and body_of(function).always_reaches(statement)
            for function, source in self._reached
        )


def _makes_object(call: ast.Call, source: Source) -> bool:
    """Whether a call makes an object of a class of the module that is equal to no other one."""
    name = call.func.id if isinstance(call.func, ast.Name) else ""
    classes = [each for each in source.tree.body if isinstance(each, ast.ClassDef) and each.name == name]
    if len(classes) != 1 or source.bindings[name] != 1 or is_local(name, call, source):
        return False
    (own,) = classes
    is_plain = not own.bases and not own.keywords and not own.decorator_list
    return is_plain and not any(isinstance(each, Function) and each.name in _COMPARED_BY for each in own.body)


def _raises(statement: ast.AST | None) -> bool:
    """Whether a statement adds a positive number that is written out."""
    is_sum = isinstance(statement, ast.AugAssign) and isinstance(statement.op, ast.Add)
    value = statement.value if isinstance(statement, ast.AugAssign) else None
    is_number = isinstance(value, ast.Constant) and isinstance(value.value, int) and value.value > 0
    return is_sum and is_number


def _only_reads(use: ast.AST) -> bool:
    return isinstance(use, ast.Global) or isinstance(getattr(use, "ctx", None), ast.Load)


def _is_number(value: ast.expr | None) -> bool:
    return isinstance(value, ast.Constant) and isinstance(value.value, int)
