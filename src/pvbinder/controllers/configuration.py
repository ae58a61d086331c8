"""Flags from a configuration file, and together with those of the command line.

CONFIGURATION-1  A file is a YAML map whose keys are names of flags; a missing key has its default, and a flag on the
                 command line overrides the file.
CONFIGURATION-2  A key that isn't a flag, a key that is there twice and a value that a flag can't have are errors, with
                 the file, the line and the flag that was probably meant. Nothing is ignored.
CONFIGURATION-3  The rates of requests are there as flags (``kube-api-qps``, ``kube-api-burst``) or as a
                 KubeControllerManagerConfiguration has them (``generic.clientConnection``), where a caller takes them.

    pvclaimbinder-sync-period: 30s
    controllers: ["*", "-ephemeral-volume"]
    feature-gates:
      PersistentVolumeClaimUnusedSinceTime: true
    generic:
      clientConnection: {qps: 50, burst: 100}
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

from pvbinder.controllers.flags import HOW_WRITTEN, Flag, OptionError, Value, flag_named, options_from
from pvbinder.controllers.options import ControllerOptions
from pvbinder.controllers.registry import UnknownControllerError, choose_controllers
from pvbinder.files import UnreadableFileError, read_file
from pvbinder.volumes.recycler import RecyclerTemplateError, read_template

FILE_BYTES_MAX: Final = 1 << 20  # bytes
_TEMPLATES: Final = frozenset({"pv_recycler_pod_template_filepath_nfs", "pv_recycler_pod_template_filepath_hostpath"})
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


_IDENTITY: Final = {
    "apiVersion": "kubecontrollermanager.config.k8s.io/v1alpha1",
    "kind": "KubeControllerManagerConfiguration",
}
_RATES: Final = {"kube-api-qps": "qps", "kube-api-burst": "burst"}


@dataclass(slots=True)
class Rates:
    """The bounds of requests in a second that a file names (CONFIGURATION-3)."""

    qps: float | None = None
    burst: int | None = None


def read_options(
    flags: Mapping[str, str], file: Path | None = None, *, rates: Rates | None = None
) -> ControllerOptions:
    """Return the options that `flags` (text by name, only those given) and `file` ask for, or raise `OptionError`.

    The rates of the file go into `rates`; without it they are refused.
    """
    values = read_configuration(file, rates=rates) if file is not None else {}
    for name, text in flags.items():
        flag = flag_named(name)
        values[flag.option] = flag.parse(text)
    return options_from(values)


def read_configuration(path: Path, *, rates: Rates | None = None) -> dict[str, Value]:
    """Return the values in the file at `path`, by option (CONFIGURATION-2); put its rates into `rates`."""
    node = _compose(path)
    if node is None:
        return {}
    if not isinstance(node, yaml.MappingNode):
        raise OptionError(f"{path}: a configuration is a map of flags to values, as in `controllers: '*'`")
    values: dict[str, Value] = {}
    for key_node, value_node in node.value:
        where = f"{path}, line {key_node.start_mark.line + 1}"
        if not isinstance(key_node, yaml.ScalarNode):
            raise OptionError(f"{where}: the name of a flag is a text")
        try:
            if _is_rate(key_node.value, value_node, rates):
                continue
            flag = flag_named(key_node.value)
            if flag.option in values:
                raise OptionError(f"{flag.name} is there twice")
            values[flag.option] = flag.parse(_text(flag, value_node))
            _check(flag, values[flag.option])
        except OptionError as error:
            raise OptionError(f"{where}: {error.message.removeprefix('--')}", hint=error.hint) from error
    return values


def _is_rate(key: str, node: yaml.Node, rates: Rates | None) -> bool:
    """Take what isn't a flag of the controllers, if it is that (CONFIGURATION-3)."""
    if key in _IDENTITY:
        if not isinstance(node, yaml.ScalarNode) or node.value != _IDENTITY[key]:
            raise OptionError(f"{key} can only be {_IDENTITY[key]}, or left out")
        return True
    if key not in _RATES and key != "generic":
        return False
    if rates is None:
        raise OptionError(f"{key} is of `pvbinder controller`, which asks another server")
    found = [(_RATES[key], key, node)] if key in _RATES else list(_client_connection(node))
    for name, written, value in found:
        if getattr(rates, name) is not None:
            raise OptionError(f"{written} is there twice")
        setattr(rates, name, _rate(written, value, is_whole=name == "burst"))
    return True


def _client_connection(node: yaml.Node) -> Iterator[tuple[str, str, yaml.Node]]:
    for key, connection in _fields(node, "generic", ("clientConnection",)):
        for name, value in _fields(connection, f"generic.{key}", ("qps", "burst")):
            yield name, f"generic.{key}.{name}", value


def _fields(node: yaml.Node, where: str, known: tuple[str, ...]) -> Iterator[tuple[str, yaml.Node]]:
    if not isinstance(node, yaml.MappingNode):
        raise OptionError(f"{where} must be a map with {' and '.join(known)}")
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode) or key.value not in known:
            raise OptionError(f"{where} has only {' and '.join(known)} here", hint="other fields are flags: see --help")
        yield key.value, value


def _rate(name: str, node: yaml.Node, *, is_whole: bool) -> float:
    text = node.value if isinstance(node, yaml.ScalarNode) else ""
    try:
        rate = int(text) if is_whole else float(text)
    except ValueError:
        rate = -1
    if not math.isfinite(rate) or rate < 0:
        raise OptionError(f"{name} must be a {'whole ' if is_whole else ''}number from 0 on")
    return rate


def _check(flag: Flag, value: Value) -> None:
    """Raise `OptionError` for what would be found wrong only when it is used: then nobody knows the line any more."""
    if flag.option == "controllers":
        try:
            choose_controllers(str(value))
        except UnknownControllerError as error:
            raise OptionError(f"{flag.name}: {error.message}", hint=error.hint) from error
    elif flag.option in _TEMPLATES and value:
        try:
            read_template(str(value))
        except RecyclerTemplateError as error:
            raise OptionError(f"{flag.name}: {error.message}", hint=error.hint) from error


def _compose(path: Path) -> yaml.Node | None:
    """The nodes of the file rather than its values: they know their lines, and how a value was written."""
    try:
        text = read_file(path, bytes_max=FILE_BYTES_MAX)
    except UnreadableFileError as error:
        raise OptionError(f"configuration file {path} can't be read: {error.reason}") from error
    try:
        node: yaml.Node | None = yaml.compose(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        where = f", line {error.problem_mark.line + 1}" if error.problem_mark is not None else ""
        raise OptionError(f"{path}{where}: {error.problem or 'it is no YAML'}") from error
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise OptionError(f"configuration file {path} is no YAML: {' '.join(str(error).split())}") from error
    return node


def _text(flag: Flag, node: yaml.Node) -> str:
    """Return the text of `node` as the command line would have it (FLAGS-2)."""
    match node:
        case yaml.ScalarNode(tag="tag:yaml.org,2002:null"):
            raise OptionError(f"{flag.name} has no value: leave it out, or write {HOW_WRITTEN[flag.type]}")
        case yaml.ScalarNode(value=value):
            return str(value)
        case yaml.SequenceNode(value=items) if flag.type == "list" and _are_scalars(items):
            return ",".join(item.value for item in items)
        case yaml.MappingNode(value=pairs) if flag.type == "gates" and _are_scalars(sum(pairs, ())):
            return ",".join(f"{key.value}={value.value}" for key, value in pairs)
        case _:
            raise OptionError(f"{flag.name} must be {HOW_WRITTEN[flag.type]}")


def _are_scalars(nodes: list[yaml.Node] | tuple[yaml.Node, ...]) -> bool:
    return all(isinstance(node, yaml.ScalarNode) for node in nodes)
