"""Small mistakes in a file, one at a time, in an order that stays the same while the file does.

Left out are mistakes that change nothing a test could see, each for one of these reasons: documentation strings;
annotations and other type expressions; decorators and keywords of classes (`frozen`, `slots`, the size of a cache);
`__slots__` and `__all__`; texts and values of log lines, and of assertions; branches that only `assert_never` has.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial

SHOWN_LETTERS_MAX = 110

_COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
_CALCULATED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitAnd,
}
_TYPE_FIELDS = {"annotation", "returns", "decorator_list", "type_comment", "type_params", "bases", "keywords"}
_TYPE_MAKERS = {"NewType", "TypeVar", "ParamSpec", "TypeVarTuple"}
_NOT_VALUES = {"__slots__", "__all__"}
_LOG_CALLS = {"debug", "info", "warning", "error", "exception"}


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mutant: which node of the file is another, and where a person finds it."""

    number: int  # its place among the file's mistakes
    file: str  # below src/pvbinder
    place: str  # class and function, "" for the module itself
    line: int
    statement_line: int
    names: tuple[str, ...]  # what the statement assigns, for one that is run at import
    is_at_import: bool
    before: str
    after: str
    nth: int = 1  # among those of the same place with the same texts

    @property
    def key(self) -> str:
        """The name that docs/mutants.md uses; it stays when lines move."""
        again = f" ({self.nth})" if self.nth > 1 else ""
        return f"{self.file} {self.place or 'module'}: {self.before} -> {self.after}{again}"


def mistakes_of(source: str, file: str) -> list[Mistake]:
    """Return all mistakes of a file."""
    return _found(ast.parse(source), file).mistakes


def with_mistake(source: str, number: int) -> ast.Module:
    """Return the tree of a file that has the mistake of this number."""
    tree = ast.parse(source)
    _found(tree, "").changes[number]()
    return ast.fix_missing_locations(tree)


def _found(tree: ast.Module, file: str) -> _Finder:
    finder = _Finder(file)
    finder.visit(tree, _Position("", 0, (), is_at_import=True))
    return finder


@dataclass(frozen=True, slots=True)
class _Position:
    place: str
    statement_line: int
    names: tuple[str, ...]
    is_at_import: bool


@dataclass(slots=True)
class _Finder:
    file: str
    mistakes: list[Mistake] = field(default_factory=list)
    changes: list[Callable[[], None]] = field(default_factory=list)
    _seen: dict[str, int] = field(default_factory=dict)

    def visit(self, node: ast.AST, position: _Position) -> None:
        for name, value in ast.iter_fields(node):
            if _is_type(node, name):
                continue
            inner = position
            if name == "body" and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                inner = replace(inner, is_at_import=False)
            if isinstance(value, list):
                for index, item in enumerate(value):
                    if isinstance(item, ast.AST) and not _is_left_out(node, name, index):
                        self._try(item, partial(value.__setitem__, index), inner)
            elif isinstance(value, ast.AST):
                self._try(value, partial(setattr, node, name), inner)

    def _try(self, node: ast.AST, put: Callable[[ast.AST], None], position: _Position) -> None:
        if _says_nothing(node):
            return
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            place = f"{position.place}.{node.name}" if position.place else node.name
            position = replace(position, place=place, names=(node.name,))
        if isinstance(node, ast.stmt):
            names = _assigned(node)
            position = replace(position, statement_line=node.lineno, names=names or position.names)
        for other in _others(node):
            self._keep(node, other, put, position)
        self.visit(node, position)

    def _keep(self, node: ast.AST, other: ast.AST, put: Callable[[ast.AST], None], position: _Position) -> None:
        before, after = (_shown(each) for each in (node, other))
        line = getattr(node, "lineno", position.statement_line)
        mistake = Mistake(
            len(self.mistakes),
            self.file,
            position.place,
            line,
            position.statement_line,
            position.names,
            position.is_at_import,
            before,
            after,
        )
        nth = self._seen[mistake.key] = self._seen.get(mistake.key, 0) + 1
        self.mistakes.append(replace(mistake, nth=nth))
        self.changes.append(partial(put, other))


def _is_type(node: ast.AST, name: str) -> bool:
    if name == "keywords":
        return isinstance(node, ast.ClassDef)
    return name in _TYPE_FIELDS


def _is_left_out(node: ast.AST, name: str, index: int) -> bool:
    """Whether the item of a list is no value: a type that is given as argument, what a log line says."""
    if not isinstance(node, ast.Call):
        return False
    called = node.func.id if isinstance(node.func, ast.Name) else ""
    return (
        _is_log_call(node)
        or (called == "cast" and name == "args" and index == 0)
        or (called in ("isinstance", "issubclass") and name == "args" and index == 1)
    )


def _is_log_call(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and (node.func.attr in _LOG_CALLS or ast.unparse(node.func) == "logs.get")  # the latter: a logger's name
        and "log" in ast.unparse(node.func.value).lower()
    )


def _says_nothing(node: ast.AST) -> bool:
    """Whether no mistake in here could be seen: documentation, types, and what types make impossible."""
    match node:
        case ast.Expr(value=ast.Constant()):
            return True
        case ast.Expr(value=ast.Call(func=ast.Name(id="assert_never"))):
            return True
        case ast.match_case(body=[ast.Expr(value=ast.Call(func=ast.Name(id="assert_never")))]):
            return True
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return True
        case ast.AnnAssign(annotation=ast.Name(id="TypeAlias")):
            return True
        case ast.Assign(targets=[ast.Name(id=name)]) if name in _NOT_VALUES:
            return True
        case ast.Assign(value=ast.Call(func=ast.Name(id=name))) if name in _TYPE_MAKERS:
            return True
        case ast.Assert():
            return True
    return False


def _assigned(node: ast.stmt) -> tuple[str, ...]:
    match node:
        case ast.Assign(targets=targets):
            return tuple(target.id for target in targets if isinstance(target, ast.Name))
        case ast.AnnAssign(target=ast.Name(id=name)):
            return (name,)
    return ()


def _others(node: ast.AST) -> Iterator[ast.AST]:
    """Give what may stand in place of `node`: one mistake each."""
    match node:
        case ast.stmt():
            yield from _other_statements(node)
        case ast.comprehension(ifs=ifs):
            for index in range(len(ifs)):
                yield _copy(node, ifs=ifs[:index] + ifs[index + 1 :])
        case ast.expr():
            yield from _other_expressions(node)


def _other_expressions(node: ast.expr) -> Iterator[ast.AST]:
    match node:
        case ast.Compare(ops=ops):
            for index, op in enumerate(ops):
                yield _copy(node, ops=[*ops[:index], _COMPARED[type(op)](), *ops[index + 1 :]])
        case ast.BoolOp(op=op):
            yield _copy(node, op=ast.Or() if isinstance(op, ast.And) else ast.And())
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            yield operand
        case ast.BinOp(op=op) if type(op) in _CALCULATED:
            yield _copy(node, op=_CALCULATED[type(op)]())
        case ast.Constant(value=value):
            yield from _other_constants(value)
        case ast.JoinedStr(values=values) if not any(isinstance(each, ast.Constant) for each in values):
            yield _copy(node, values=[ast.Constant("XX"), *values])
        case ast.Lambda(body=body) if not _is_none(body):
            yield _copy(node, body=ast.Constant(None))
        case ast.IfExp(test=test) if _needs_no(test):
            yield _copy(node, test=ast.UnaryOp(ast.Not(), test))
        case ast.Call(args=args, keywords=keywords) if not _is_log_call(node):
            for index, given in enumerate(args):
                if not _is_left_out(node, "args", index) and not isinstance(given, ast.Starred) and not _is_none(given):
                    yield _copy(node, args=[*args[:index], ast.Constant(None), *args[index + 1 :]])
            if len(args) > 1 and not _is_left_out(node, "args", len(args) - 1):
                yield _copy(node, args=args[:-1])
            for index in range(len(keywords)):
                yield _copy(node, keywords=keywords[:index] + keywords[index + 1 :])


def _other_constants(value: object) -> Iterator[ast.AST]:
    match value:
        case bool():
            yield ast.Constant(not value)
        case int() | float():
            yield ast.Constant(value + 1)
        case str():
            yield ast.Constant(f"XX{value}XX" if value else "XX")
        case bytes():
            yield ast.Constant(b"XX" + value)


def _other_statements(node: ast.stmt) -> Iterator[ast.AST]:
    match node:
        case ast.Expr(value=ast.Call() | ast.Await()) | ast.Delete():
            yield ast.Pass()
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript(), *_]):
            yield ast.Pass()
        case ast.Assign(value=value) | ast.AnnAssign(value=ast.expr() as value):
            yield _copy(node, value=ast.Constant("" if _is_none(value) else None))
        case ast.AugAssign(target=target, op=op, value=value):
            yield ast.Assign([target], value)
            if type(op) in _CALCULATED:
                yield _copy(node, op=_CALCULATED[type(op)]())
        case ast.Break():
            yield ast.Return(None)
        case ast.Continue():
            yield ast.Break()
        case ast.If(test=test) | ast.While(test=test) if _needs_no(test):
            yield _copy(node, test=ast.UnaryOp(ast.Not(), test))
        case ast.Match(cases=cases):
            for index, case in enumerate(cases):
                if len(cases) > 1 and not _says_nothing(case):
                    yield _copy(node, cases=cases[:index] + cases[index + 1 :])


def _needs_no(test: ast.expr) -> bool:
    """Whether the condition has no operator of its own that is mutated."""
    return not isinstance(test, (ast.Compare, ast.BoolOp)) and not (
        isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)
    )


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _copy(node: ast.AST, **changed: object) -> ast.AST:
    fields = dict(ast.iter_fields(node)) | changed
    return ast.copy_location(type(node)(**fields), node)


def _shown(node: ast.AST) -> str:
    """Return the first lines of the code, as one, and so short that a person reads it."""
    if isinstance(node, ast.comprehension):
        node = ast.ListComp(ast.Name("_"), [node])
    if isinstance(node, ast.Match):
        text = f"match {ast.unparse(node.subject)}: " + " | ".join(ast.unparse(case.pattern) for case in node.cases)
    elif isinstance(node, (ast.If, ast.While)):
        text = f"{'if' if isinstance(node, ast.If) else 'while'} {ast.unparse(node.test)}"
    else:
        text = " ".join(ast.unparse(ast.fix_missing_locations(node)).split())
    return text if len(text) <= SHOWN_LETTERS_MAX else text[: SHOWN_LETTERS_MAX - 1] + "…"
