"""Expressions: their values, their errors, their costs and the estimates of these."""

from __future__ import annotations

from typing import Any

import pytest
from tests.processor import at_most

from pvbinder.server.kinds.cel.environment import Compiled, compile_expression
from pvbinder.server.kinds.cel.errors import CelError, CompileError, CostExceededError, InstantiationError
from pvbinder.server.kinds.cel.parser import DEPTH_MAX
from pvbinder.server.kinds.cel.program import EvaluationError
from pvbinder.server.kinds.cel.types import DYN, INT, STRING, list_of, map_of

VARIABLES = {"n": INT, "s": STRING, "items": list_of(INT), "labels": map_of(STRING, STRING), "any": DYN}
VALUES: dict[str, Any] = {"n": 7, "s": "a-b", "items": [3, 1, 2], "labels": {"app": "db"}, "any": {"x": [1, "2"]}}
BUDGET = 1_000_000
PROCESSOR_SECONDS_MAX = 5.0  # copying at each turn would take minutes


def compiled(source: str, **sizes: int) -> Compiled:
    return compile_expression(source, VARIABLES, lambda path: sizes.get(path[0]))


def value(source: str) -> Any:
    return compiled(source).program.run(VALUES, BUDGET)[0]


TRUE = [
    # operators and their operands
    "n + 1 == 8 && n - 1 == 6 && n * 2 == 14 && n / 2 == 3 && n % 4 == 3 && -n == -7",
    "1 < 2 && 2u > 1u && 1.5 <= 1.5 && 'a' < 'b' && b'a' < b'b' && false < true && 1 < 1.5 && 2u > 1",
    "'a' + 'b' == 'ab' && b'a' + b'b' == b'ab' && [1] + [2] == [1, 2]",
    "1 in [1, 2] && !(3 in [1, 2]) && 'app' in labels && !('x' in labels)",
    "n > 5 ? s == 'a-b' : false",
    "(1 / 0 == 1 || true) && !(1 / 0 == 1 && false)",
    "dyn(1) == dyn(1.0) && dyn(1) == dyn(1u) && dyn('1') != dyn(1)",
    "{'a': 1, 'b': 2} == {'b': 2, 'a': 1} && {'a': 1}.a == 1 && {1: 2}[1] == 2",
    # how values are written
    "0x10 == 16 && 1e3 == 1000.0 && r'\\n' == '\\\\n' && '\\u00e9' == '\\xe9' && '''a\nb''' == 'a\\nb'",
    "\"it's\" == 'it\\'s' && b'\\xff'.size() == 1 && '\\101' == 'A' && // a remark\n true",
    "{'a-b': 1}.`a-b` == 1",
    # conversions
    "int('12') == 12 && int(2.9) == 2 && int(3u) == 3 && uint(3) == 3u && double('1.5') == 1.5",
    "string(1) == '1' && string(1.0) == '1' && string(true) == 'true' && string(b'a') == 'a' && bytes('a') == b'a'",
    "bool('true') && !bool('False') && type(1) == int && type('') == string && type([]) == list && type(int) == type",
    "int(timestamp('1970-01-01T00:01:00Z')) == 60 && string(duration('90s')) == '90s'",
    # macros
    "items.all(x, x > 0) && items.exists(x, x == 3) && items.exists_one(x, x == 1) && !items.all(x, x > 1)",
    "items.map(x, x * 2) == [6, 2, 4] && items.filter(x, x > 1) == [3, 2] && items.map(x, x > 1, x + 1) == [4, 3]",
    "labels.all(k, labels[k] == 'db') && labels.exists(k, v, k == 'app' && v == 'db')",
    "items.all(i, x, i < 3) && items.transformList(i, x, i * x) == [0, 1, 4]",
    "labels.transformMap(k, v, v + '!') == {'app': 'db!'} && labels.transformMapEntry(k, v, {v: k}) == {'db': 'app'}",
    "has(any.x) && !has(any.y) && has(labels.app)",
    "[1, 0].exists(x, 1 / x == 1) && ![0, 1].all(x, 1 / x == 2)",
    # optional values
    "any.?x[?1].orValue('z') == '2' && !any.?y.hasValue() && any.?y.?z.orValue(3) == 3",
    "labels[?'app'].value() == 'db' && optional.of(1).optMap(v, v + 1).value() == 2",
    "optional.none().or(optional.of(2)).value() == 2 && optional.ofNonZeroValue('') == optional.none()",
    "optional.of(1).optFlatMap(v, optional.none()) == optional.none()",
    "[?optional.of(1), ?optional.none(), 3] == [1, 3] && {?'a': optional.none(), 'b': 1} == {'b': 1}",
    # texts
    "s.size() == 3 && size('aé') == 2 && s.startsWith('a') && s.endsWith('b') && s.contains('-')",
    "'tacocat'.charAt(3) == 'o' && 'tacocat'.indexOf('a', 2) == 5 && 'tacocat'.lastIndexOf('t') == 6",
    "'AbC'.lowerAscii() == 'abc' && 'AbC'.upperAscii() == 'ABC' && ' a '.trim() == 'a'",
    "'a,b,c'.split(',') == ['a', 'b', 'c'] && 'a,b,c'.split(',', 2) == ['a', 'b,c'] && ['a', 'b'].join('-') == 'a-b'",
    "'aaa'.replace('a', 'b', 2) == 'bba' && 'hello'.substring(1, 3) == 'el'",
    "s.matches('^[a-z]-') && 'a1b22'.find('[0-9]+') == '1' && 'a1b22'.findAll('[0-9]+') == ['1', '22']",
    "'%s is %d, %.2f, %x, %b, %o'.format(['a', 1, 1.5, 255, 5, 8]) == 'a is 1, 1.50, ff, 101, 10'",
    "'%s %s'.format([[1, 'x'], {'a': 1.0}]) == '[1, \"x\"] {\"a\":1.000000}'",
    "strings.quote('a\"b') == '\"a\\\\\"b\"'",
    # lists and sets
    "items.sum() == 6 && items.min() == 1 && items.max() == 3 && !items.isSorted() && [1, 2].isSorted()",
    "items.indexOf(1) == 1 && [1, 1].lastIndexOf(1) == 1 && items.indexOf(9) == -1 && [].sum() == 0",
    "[duration('1m'), duration('30s')].sum() == duration('90s') && [1.5, 2.5].sum() == 4.0",
    "sets.contains([1, 2], [2]) && sets.equivalent([1, 2], [2, 1, 1]) && !sets.intersects([1], [2])",
    "[3, 1].sort() == [1, 3] && ['b', 'ab'].sortBy(e, e.size()) == ['b', 'ab'] && [1, 1, 2].distinct() == [1, 2]",
    "[[1], [2, 3]].flatten() == [1, 2, 3] && [1, 2, 3].slice(1, 2) == [2] && lists.range(3).reverse() == [2, 1, 0]",
    "[1, 2].first().value() == 1 && [1, 2].last().value() == 2",
    # times
    "timestamp('2024-02-29T12:30:45.5+01:00').getHours() == 12",
    "timestamp('2024-02-29T12:30:45.5+01:00').getHours('UTC') == 11",
    "timestamp('2024-02-29T12:00:00Z').getMonth() == 1 && timestamp('2024-02-29T12:00:00Z').getDate() == 29",
    "timestamp('2024-02-29T00:00:00Z').getHours('America/New_York') == 19",
    "timestamp('2024-03-01T00:00:00Z') - timestamp('2024-02-29T00:00:00Z') == duration('24h')",
    "duration('1h2m3s4ms').getMinutes() == 62 && duration('-1.5h') < duration('0s')",
    # Kubernetes' libraries
    "quantity('1Gi').isGreaterThan(quantity('1G')) && quantity('200M').compareTo(quantity('0.2G')) == 0",
    "quantity('50k').add(quantity('20')).asInteger() == 50020 && quantity('1.5').asApproximateFloat() == 1.5",
    "isQuantity('1Mi') && !isQuantity('1Mo') && sign(quantity('-1')) == -1 && !quantity('0.5').isInteger()",
    "url('https://user@example.com:80/p?q=1&q=2').getHost() == 'example.com:80' && !isURL('a b')",
    "url('https://a.b/c d').getEscapedPath() == '/c%20d' && url('https://[::1]:8/').getHostname() == '::1'",
    "url('https://a/?q=1&q=2').getQuery() == {'q': ['1', '2']} && url('https://a:1').getPort() == '1'",
    "ip('10.0.0.1').family() == 4 && ip('::1').isLoopback() && isIP('::') && ip.isCanonical('2001:db8::1')",
    "cidr('10.0.0.0/8').containsIP('10.1.2.3') && cidr('10.0.0.0/8').containsCIDR('10.1.0.0/16')",
    "cidr('10.1.2.3/8').masked() == cidr('10.0.0.0/8') && cidr('10.0.0.0/8').prefixLength() == 8 && isCIDR('::/0')",
    "semver('1.2.3-rc.1').isLessThan(semver('1.2.3')) && semver('v1.2', true).minor() == 2 && !isSemver('1.2')",
    "format.dns1123Label().validate('a') == optional.none() && format.dns1123Label().validate('A').hasValue()",
    "format.named('uuid').hasValue() && !format.named('nothing').hasValue()",
]


@pytest.mark.parametrize("source", TRUE)
def test_environment_1_what_compiles_runs(source: str) -> None:
    assert value(source) is True


ERRORS = {
    "1 / (n - 7) == 0": "division by zero",
    "1 % (n - 7) == 0": "modulus by zero",
    "n + 9223372036854775807 == 0": "integer overflow",
    "items[9] == 1": "index out of bounds: 9",
    "labels['x'] == ''": "no such key: x",
    "any.y == 1": "no such key: y",
    "any + 1 == 2": "no such overload",
    "int(s) == 1": "type conversion error from 'string' to 'int'",
    "uint(n - 8) == 1u": "unsigned integer overflow",
    "optional.none().value() == 1": "optional.none() dereference",
    "s.charAt(9) == ''": "index out of range: 9",
    "s.substring(2, 1) == ''": "invalid substring range. start: 2, end: 1",
    "[n].filter(x, x < 0).max() == 1": "max called on empty list",
    "quantity(s).isInteger()": "quantities must match the regular expression '^([+-]?[0-9.]+)(",
    "ip('1.2.3.4.5').family() == 4": (
        'IP Address "1.2.3.4.5" parse error during conversion from string: ParseAddr("1.2.3.4.5"): IPv4 address too '
        "long"
    ),
    "ip('2001:db8:::1').family() == 6": (
        'IP Address "2001:db8:::1" parse error during conversion from string: ParseAddr("2001:db8:::1"): each '
        'colon-separated field must have at least one digit (at ":1")'
    ),
    "{'a': n, s: 1, s: 2}.size() == 1": "Failed with repeated key: a-b",
}


@pytest.mark.parametrize(("source", "message"), ERRORS.items())
def test_an_error_says_what_went_wrong(source: str, message: str) -> None:
    with pytest.raises(CelError) as caught:
        value(source)
    assert message in caught.value.message


MISTAKES = {
    "s.x == 1": "ERROR: <input>:1:2: type 'string' does not support field selection\n | s.x == 1\n | .^",
    "n + s == 1": (
        "ERROR: <input>:1:3: found no matching overload for '_+_' applied to '(int, string)'\n | n + s == 1\n | ..^"
    ),
    "nobody": "ERROR: <input>:1:1: undeclared reference to 'nobody' (in container '')\n | nobody\n | ^",
    "nothing(1)": "ERROR: <input>:1:8: undeclared reference to 'nothing' (in container '')\n | nothing(1)\n | .......^",
    "items.map(1, 2)": "ERROR: <input>:1:11: argument is not an identifier\n | items.map(1, 2)\n | ..........^",
    "has(n)": "ERROR: <input>:1:5: invalid argument to has() macro\n | has(n)\n | ....^",
    "n.all(x, true)": (
        "ERROR: <input>:1:1: expression of type 'int' cannot be range of a comprehension (must be list, map, or "
        "dynamic)\n | n.all(x, true)\n | ^"
    ),
    "[1, 'a'] == []": "ERROR: <input>:1:5: expected type 'int' but found 'string'\n | [1, 'a'] == []\n | ....^",
    "duration('1x') == duration('1s')": (
        "ERROR: <input>:1:10: invalid duration argument\n | duration('1x') == duration('1s')\n | .........^"
    ),
    "s.matches('(')": "ERROR: <input>:1:11: invalid matches argument\n | s.matches('(')\n | ..........^",
    "n &&\n  s": "ERROR: <input>:1:1: expected type 'bool' but found 'int'\n | n &&\n | ^\n"
    "ERROR: <input>:2:3: expected type 'bool' but found 'string'\n |   s\n | ..^",
}


@pytest.mark.parametrize(("source", "message"), MISTAKES.items())
def test_checker_1_every_mistake_is_told(source: str, message: str) -> None:
    with pytest.raises(CompileError) as caught:
        compiled(source)
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("n +", "1:4: Syntax error: mismatched input '<EOF>' expecting {'[', '{', '(', '.', '-', '!', 'true'"),
        ("n == 1 extra", "1:8: Syntax error: extraneous input 'extra' expecting <EOF>"),
        ("'open", "1:1: Syntax error: token recognition error at: ''open'"),
        ("n == #", "1:6: Syntax error: token recognition error at: '#'"),
        ("any.true == 1", "1:5: Syntax error: mismatched input 'true' expecting IDENTIFIER"),
        ("package == 1", "1:1: reserved identifier: package"),
        ("9223372036854775808 == 1", "1:1: invalid int literal"),
    ],
)
def test_parser_2_what_is_no_expression_is_refused(source: str, message: str) -> None:
    with pytest.raises(CompileError) as caught:
        compiled(source)
    assert message in caught.value.message


@pytest.mark.parametrize(
    "source",
    [
        "(" * (DEPTH_MAX * 2) + "n" + ")" * (DEPTH_MAX * 2) + " == 1",
        "!" * 3 + "[" * 500 + "]" * 500,
        "n == 1 ? " * 500 + "n == 2" + " : n == 3" * 500,
        "any" + ".x" * 2_000 + " == 1",
        " + ".join(["n"] * 2_000) + " == 1",
    ],
)
def test_parser_1_what_nests_too_deeply_is_refused(source: str) -> None:
    with pytest.raises(CompileError):
        compiled(source)


@pytest.mark.parametrize("source", ["int('x') == n", "[int('x')].size() == n", "s.find(')') == ''"])
def test_environment_1_what_is_known_before_is_looked_at_before(source: str) -> None:
    with pytest.raises(InstantiationError):
        compiled(source)


@pytest.mark.parametrize(
    ("source", "cost"),
    [
        ("n == 7", 2),
        ("any.x[0] == 1", 4),
        ("n in [1, 2, 3]", 1),
        ("items.all(x, x > 0)", 17),
        ("items.exists_one(x, x == 1)", 11),
        ("items.map(x, x).size() == 3", 43),
        ("has(any.x)", 1),
        ("n == 7 ? s == 'a' : false", 4),
        ("s.matches('^[a-z]+$')", 3),
        ("items == [3, 1, 2]", 2),
        ("any.?y.?z.hasValue()", 2),
        ("type(n) == int && duration('1s') == duration('1s')", 4),
    ],
)
def test_what_an_expression_costs(source: str, cost: int) -> None:
    assert compiled(source).program.run(VALUES, BUDGET)[1] == cost


@pytest.mark.parametrize(
    ("source", "most"),
    [("n == 7", 2), ("items.all(x, x > 0)", 502), ("items.all(x, items.all(y, x == y))", 150_502), ("s == 'abc'", 2)],
)
def test_what_an_expression_might_cost(source: str, most: int) -> None:
    assert compiled(source, items=100, s=50).cost_max == most


@pytest.mark.parametrize("source", ["items.all(x, items.all(y, x != y + 9))", "(s + s + s).size() > 0 && n == 7"])
def test_program_1_what_costs_too_much_ends(source: str) -> None:
    program = compiled(source).program
    _, cost = program.run(VALUES, BUDGET)
    program.run(VALUES, cost)
    with pytest.raises(CostExceededError):
        program.run(VALUES, cost - 1)


def test_program_1_an_error_has_its_cost_too() -> None:
    with pytest.raises(EvaluationError) as caught:
        compiled("items.all(x, x > 0) && any.y == 1").program.run(VALUES, BUDGET)
    assert caught.value.cost == 20


@pytest.mark.parametrize(
    "source",
    [
        "true || any.y == 1",
        "any.y == 1 || true",
        "!(false && any.y == 1)",
        "n == 7 ? true : any.y == 1",
        "optional.of(true).orValue(any.y == 1)",
        "optional.of(true).or(optional.of(any.y == 1)).value()",
    ],
)
def test_program_2_what_is_not_needed_is_not_looked_at(source: str) -> None:
    assert value(source) is True


def test_program_1_what_a_loop_gathers_takes_no_more_time_than_it_costs() -> None:
    program = compiled("items.map(x, x).size() > 0 && items.transformMap(i, x, x).size() > 0").program
    with at_most(PROCESSOR_SECONDS_MAX):
        program.run({**VALUES, "items": list(range(60_000))}, 10_000_000)


def test_what_a_loop_gathers_begins_anew_each_time() -> None:
    program = compiled("items.map(x, items.map(y, y)) == [items, items, items]").program
    assert [program.run(VALUES, BUDGET)[0] for _ in range(2)] == [True, True]
