"""From words to a tree, with macros expanded on the way.

PARSER-1  Bounded: an expression that nests deeper than `DEPTH_MAX` is refused, and so is one that is too long.
PARSER-2  What is no expression is refused in the reference's words, the first mistake at least.
"""

from __future__ import annotations

from typing import Final

from pvbinder.server.kinds.cel.errors import CompileError, Issue
from pvbinder.server.kinds.cel.lexer import KEYWORDS, Word, read_words
from pvbinder.server.kinds.cel.macros import MacroError, expand
from pvbinder.server.kinds.cel.nodes import Call, Ident, ListOf, Literal, MapOf, Message, Select, Term, children
from pvbinder.server.kinds.cel.values import INT_MAX, INT_MIN

DEPTH_MAX: Final = 250
LETTERS_MAX: Final = 100_000
_START: Final = (
    "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}"
)
_LITERALS: Final = {"true": True, "false": False, "null": None}
_RELATIONS: Final = frozenset({"<", "<=", ">=", ">", "==", "!=", "in"})


def parse(source: str) -> Term:
    """Read an expression; CompileError when it is none."""
    if len(source) > LETTERS_MAX:
        why = f"expression code point size exceeds limit: size: {len(source)}, limit {LETTERS_MAX}"
        raise CompileError(source, [Issue(0, why)])
    issues: list[Issue] = []
    words = read_words(source, issues)
    parser = _Parser(words, issues)
    try:
        node = parser.whole()
    except _StopError:
        raise CompileError(source, issues) from None
    except RecursionError:
        raise too_deep(source) from None
    if issues:
        raise CompileError(source, issues)
    if _is_deep(node):
        raise too_deep(source)
    return node


def too_deep(source: str) -> CompileError:
    """What an expression is refused with that nests too deeply."""
    return CompileError(source, [Issue(0, f"expression recursion limit exceeded: {DEPTH_MAX}")])


def _is_deep(node: Term) -> bool:
    level = [node]
    for _ in range(DEPTH_MAX):
        level = [child for each in level for child in children(each)]
        if not level:
            return False
    return True


class _StopError(Exception):
    """The first mistake of syntax: what comes after it says nothing."""


class _Parser:
    def __init__(self, words: list[Word], issues: list[Issue]) -> None:
        self._words = words
        self._next = 0
        self._issues = issues
        self._depth = 0

    @property
    def _word(self) -> Word:
        return self._words[self._next]

    def whole(self) -> Term:
        """The whole expression."""
        node = self._conditional()
        if self._word.kind != "end":
            is_last = self._words[self._next + 1].kind == "end"
            what = "extraneous input" if is_last else "mismatched input"
            raise self._stop(f"{what} '{self._word.text}' expecting <EOF>")
        return node

    def _is(self, *signs: str) -> bool:
        word = self._word
        return word.kind in ("sign", "name") and word.text in signs

    def _take(self) -> Word:
        word = self._word
        if word.kind != "end":
            self._next += 1
        return word

    def _expect(self, sign: str, among: str) -> Word:
        if self._is(sign):
            return self._take()
        raise self._stop(f"mismatched input '{self._word.text}' expecting {among}")

    def _stop(self, message: str) -> _StopError:
        self._issues.append(Issue(self._word.at, f"Syntax error: {message}"))
        return _StopError()

    def _conditional(self) -> Term:
        self._depth += 1
        if self._depth > DEPTH_MAX:
            self._issues.append(Issue(0, f"expression recursion limit exceeded: {DEPTH_MAX}"))
            raise _StopError
        node = self._either()
        if self._is("?"):
            at = self._take().at
            one = self._either()
            self._expect(":", "':'")
            other = self._conditional()
            node = Call(at, "_?_:_", None, [node, one, other])
        self._depth -= 1
        return node

    def _either(self) -> Term:
        return self._chain("||", "_||_", self._both)

    def _both(self) -> Term:
        return self._chain("&&", "_&&_", self._relation)

    def _chain(self, sign: str, function: str, inner: object) -> Term:
        """A chain of and, or of or, as a tree that is as flat as can be."""
        assert callable(inner)
        terms: list[Term] = [inner()]
        places: list[int] = []
        while self._is(sign):
            places.append(self._take().at)
            terms.append(inner())
        return _balanced(function, terms, places, 0, len(places) - 1) if places else terms[0]

    def _relation(self) -> Term:
        node = self._sum()
        while self._is(*_RELATIONS):
            word = self._take()
            function = "@in" if word.text == "in" else f"_{word.text}_"
            node = Call(word.at, function, None, [node, self._sum()])
        return node

    def _sum(self) -> Term:
        node = self._product()
        while self._is("+", "-"):
            word = self._take()
            node = Call(word.at, f"_{word.text}_", None, [node, self._product()])
        return node

    def _product(self) -> Term:
        node = self._unary()
        while self._is("*", "/", "%"):
            word = self._take()
            node = Call(word.at, f"_{word.text}_", None, [node, self._unary()])
        return node

    def _unary(self) -> Term:
        if self._is("!", "-"):
            sign = self._word.text
            first = self._take()
            count = 1
            if sign == "-" and self._word.kind in ("int", "double"):
                return self._member(self._negative(first.at))
            while self._is(sign):
                self._take()
                count += 1
            inner = self._member(self._primary())
            if count % 2 == 0:
                return inner
            return Call(first.at, "!_" if sign == "!" else "-_", None, [inner])
        return self._member(self._primary())

    def _negative(self, at: int) -> Term:
        word = self._take()
        if word.kind == "int" and -word.value < INT_MIN:
            self._issues.append(Issue(at, "invalid int literal"))
        return Literal(at, -word.value)

    def _member(self, node: Term) -> Term:
        while True:
            if self._is("."):
                dot = self._take()
                optional = bool(self._is("?") and self._take())
                word = self._word
                if word.kind not in ("name", "escaped"):
                    raise self._stop(f"no viable alternative at input '.{word.text}'")
                self._take()
                name = word.value if word.kind == "escaped" else word.text
                if word.kind == "name" and word.text in ("in", "true", "false", "null"):
                    self._next -= 1
                    raise self._stop(f"mismatched input '{word.text}' expecting IDENTIFIER")
                if optional:
                    node = Call(dot.at, "_?._", None, [node, Literal(word.at, name)])
                elif self._is("(") and word.kind == "name":
                    node = self._call(name, node)
                else:
                    node = Select(dot.at, node, name)
            elif self._is("["):
                at = self._take().at
                function = "_[?_]" if self._is("?") and self._take() else "_[_]"
                index = self._conditional()
                self._expect("]", "']'")
                node = Call(at, function, None, [node, index])
            elif self._is("{") and isinstance(node, Ident | Select):
                return self._message(node)
            else:
                return node

    def _message(self, name: Ident | Select) -> Term:
        from pvbinder.server.kinds.cel.nodes import qualified_name

        at = self._take().at
        while not self._is("}"):
            if self._is("?"):
                self._take()
            if self._word.kind not in ("name", "escaped"):
                raise self._stop(
                    f"extraneous input '{self._word.text}' expecting {{'}}', ',', '?', IDENTIFIER, ESC_IDENTIFIER}}"
                )
            self._take()
            self._expect(":", "':'")
            self._conditional()
            if not self._is(","):
                break
            self._take()
        self._expect("}", "{'}', ','}")
        return Message(at, qualified_name(name))

    def _call(self, name: str, target: Term | None) -> Term:
        at = self._take().at
        args: list[Term] = []
        if not self._is(")"):
            args.append(self._conditional())
            while self._is(","):
                self._take()
                args.append(self._conditional())
        self._expect(")", "{')', ','}" if args else _START)
        try:
            expanded = expand(name, target, args, at)
        except MacroError as error:
            self._issues.append(Issue(error.at, error.message))
            return Literal(at, None)
        return expanded if expanded is not None else Call(at, name, target, args)

    def _primary(self) -> Term:
        word = self._word
        if word.kind in ("double", "uint", "string", "bytes"):
            self._take()
            return Literal(word.at, word.value)
        if word.kind == "int":
            self._take()
            if word.value > INT_MAX:
                self._issues.append(Issue(word.at, "invalid int literal"))
            return Literal(word.at, word.value)
        if word.kind == "name" and word.text != "in":
            self._take()
            if word.text in _LITERALS:
                return Literal(word.at, _LITERALS[word.text])
            return self._name(word, "")
        if self._is("."):
            dot = self._take()
            word = self._word
            if word.kind != "name":
                raise self._stop(f"no viable alternative at input '.{word.text}'")
            self._take()
            return self._name(Word("name", dot.at, word.text), ".")
        if self._is("("):
            self._take()
            node = self._conditional()
            self._expect(")", "')'")
            return node
        if self._is("["):
            return self._list()
        if self._is("{"):
            return self._map()
        raise self._stop(f"mismatched input '{word.text}' expecting {_START}")

    def _name(self, word: Word, prefix: str) -> Term:
        if word.text in KEYWORDS:
            self._issues.append(Issue(word.at, f"reserved identifier: {word.text}"))
        if self._is("("):
            return self._call(prefix + word.text, None)
        return Ident(word.at, prefix + word.text)

    def _list(self) -> Term:
        at = self._take().at
        elements: list[Term] = []
        optional: set[int] = set()
        while not self._is("]"):
            if self._is("?"):
                self._take()
                optional.add(len(elements))
            elements.append(self._conditional())
            if not self._is(","):
                break
            self._take()
        self._expect("]", "{']', ','}")
        return ListOf(at, elements, frozenset(optional))

    def _map(self) -> Term:
        at = self._take().at
        entries: list[tuple[Term, Term, bool]] = []
        while not self._is("}"):
            is_optional = bool(self._is("?") and self._take())
            key = self._conditional()
            self._expect(":", "':'")
            entries.append((key, self._conditional(), is_optional))
            if not self._is(","):
                break
            self._take()
        self._expect("}", "{'}', ','}")
        return MapOf(at, entries)


def _balanced(function: str, terms: list[Term], places: list[int], low: int, high: int) -> Term:
    middle = (low + high + 1) // 2
    left = terms[middle] if middle == low else _balanced(function, terms, places, low, middle - 1)
    right = terms[middle + 1] if middle == high else _balanced(function, terms, places, middle + 1, high)
    return Call(places[middle], function, None, [left, right])
