"""The flags of the controllers as data: the name, type, meaning and setting of each.

FLAGS-1  A flag's name is that of its option with dashes; its default is the option's. So the table can't disagree with
         `ControllerOptions`, and no option is without its flag.
FLAGS-2  The same flag takes the same values on the command line and in a configuration file, where lists and maps may
         also be written as such.
FLAGS-3  A value that makes no sense is an `OptionError` that names the flag and says how a value is written.

The command line makes its options from `FLAGS`, `configuration` reads files by it; nobody spells a flag a second time.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from pvbinder.controllers.features import FeatureGateError, FeatureGates, parse_feature_gates
from pvbinder.controllers.options import ControllerOptions
from pvbinder.model.durations import format_duration, parse_duration
from pvbinder.model.errors import PvbinderError
from pvbinder.model.go_values import parse_bool

FlagType: TypeAlias = Literal["boolean", "integer", "duration", "text", "list", "gates"]
Value: TypeAlias = bool | int | float | str | FeatureGates | None

HOW_WRITTEN: Final[Mapping[FlagType, str]] = MappingProxyType(
    {
        "boolean": "true or false",
        "integer": "a whole number",
        "duration": "a duration such as 15s, 1m30s or 500ms",
        "text": "a text",
        "list": "names with commas between them",
        "gates": "settings such as A=true,B=false",
    }
)
INT32_MAX: Final = 2**31 - 1  # as much as the reference's flags can count


class OptionError(PvbinderError):
    """A flag or a key of a configuration file that doesn't exist, or a value that it can't have."""


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag; `is_ours` if the reference has none of that name, `least` is the smallest number that makes sense.

    `short_name` is another name, for one that is said more often than the reference's name deserves.
    """

    option: str  # the field of `ControllerOptions`
    type: FlagType
    meaning: str
    least: int = 0
    is_ours: bool = False
    short_name: str = ""

    @property
    def name(self) -> str:
        """Its name without dashes before it (FLAGS-1)."""
        return self.option.replace("_", "-")

    @property
    def default(self) -> str:
        """Its default as it would be written; empty for none."""
        value = getattr(_DEFAULTS, self.option)
        match self.type:
            case "boolean":
                return "true" if value else "false"
            case "duration":
                return format_duration(value)
            case "gates" | "text" | "integer" | "list":
                return "" if value is None or isinstance(value, FeatureGates) else str(value)

    def parse(self, text: str) -> Value:
        """Return the value of the option that `text` means (FLAGS-3)."""
        match self.type:
            case "boolean":
                value = parse_bool(text)
                if value is None:
                    raise self._wrong(text)
                return value
            case "integer":
                return self._integer(text)
            case "duration":
                return self._duration(text)
            case "gates":
                try:
                    return parse_feature_gates(text)
                except FeatureGateError as error:
                    raise OptionError(f"--{self.name}: {error.message}", hint=error.hint) from error
            case "text" | "list":
                return text

    def _integer(self, text: str) -> int:
        digits = text.removeprefix("-").removeprefix("+")
        if not (digits.isascii() and digits.isdigit() and len(digits) < 20):
            raise self._wrong(text)
        number = int(text)
        if not self.least <= number <= INT32_MAX:
            raise OptionError(f"--{self.name}: {text} is not between {self.least} and {INT32_MAX}")
        return number

    def _duration(self, text: str) -> float:
        try:
            seconds = parse_duration(text)
        except ValueError:
            raise self._wrong(text) from None
        if seconds <= 0:
            raise OptionError(f"--{self.name}: {text} must be longer than nothing")
        return seconds

    def _wrong(self, text: str) -> OptionError:
        return OptionError(f"--{self.name}: {text!r} is not {HOW_WRITTEN[self.type]}")


_DEFAULTS: Final = ControllerOptions()

FLAGS: Final = (
    Flag(
        "controllers",
        "list",
        "Controllers to run: '*' is all that are on by default, 'name' switches one on, '-name' off.",
    ),
    Flag("feature_gates", "gates", "Features to switch on or off: Name=true,Other=false."),
    Flag(
        "pvclaimbinder_sync_period",
        "duration",
        "How often every volume and claim is looked at again, whether or not it changed.",
        short_name="sync-period",
    ),
    Flag(
        "enable_dynamic_provisioning",
        "boolean",
        "Make volumes for claims whose class has a provisioner; off, such claims wait for volumes made by hand.",
    ),
    Flag(
        "enable_hostpath_provisioner",
        "boolean",
        "Make directories of this machine for classes whose provisioner is kubernetes.io/host-path: for tests, on one "
        "node.",
    ),
    Flag(
        "hostpath_root",
        "text",
        "The one directory below which hostPath volumes are made and deleted, instead of /tmp/hostpath_pv and of every "
        "path that /tmp/.+ is found in.",
        is_ours=True,
    ),
    Flag(
        "pv_recycler_pod_template_filepath_hostpath",
        "text",
        "File with the pod that recycles hostPath volumes; empty is the built-in one.",
    ),
    Flag(
        "pv_recycler_minimum_timeout_hostpath", "integer", "Seconds that recycling a hostPath volume may always take."
    ),
    Flag(
        "pv_recycler_timeout_increment_hostpath",
        "integer",
        "Seconds that recycling a hostPath volume may take for each whole GiB, if that's more.",
    ),
    Flag(
        "pv_recycler_pod_template_filepath_nfs",
        "text",
        "File with the pod that recycles NFS volumes; empty is the built-in one.",
    ),
    Flag("pv_recycler_minimum_timeout_nfs", "integer", "Seconds that recycling an NFS volume may always take."),
    Flag(
        "pv_recycler_increment_timeout_nfs",
        "integer",
        "Seconds that recycling an NFS volume may take for each whole GiB, if that's more.",
    ),
    Flag(
        "flex_volume_plugin_dir",
        "text",
        "Accepted and not used, as in the reference: FlexVolume plugins matter to nodes only.",
    ),
    Flag(
        "concurrent_ephemeralvolume_syncs",
        "integer",
        "Pods whose ephemeral volumes get their claims at the same time.",
        least=1,
    ),
    Flag("concurrent_gc_syncs", "integer", "Objects without owners that are deleted at the same time.", least=1),
    Flag("concurrent_namespace_syncs", "integer", "Namespaces that are emptied at the same time.", least=1),
)

BY_NAME: Final[Mapping[str, Flag]] = MappingProxyType(
    {flag.name: flag for flag in FLAGS} | {flag.short_name: flag for flag in FLAGS if flag.short_name}
)


def flag_named(name: str) -> Flag:
    """Return the flag called `name`, or raise `OptionError` with the one that may have been meant."""
    flag = BY_NAME.get(name)
    if flag is None:
        raise OptionError(f"there is no option {name!r}", hint=nearest(name))
    return flag


def nearest(name: str) -> str:
    """Say which flag may have been meant by `name`: one of the same words in another order, else of similar letters."""
    wanted = name.lower().replace("_", "-").lstrip("-")
    same_words = [known for known in BY_NAME if sorted(known.split("-")) == sorted(wanted.split("-"))]
    close = same_words or difflib.get_close_matches(wanted, BY_NAME, n=1, cutoff=0.5)
    return f"did you mean {close[0]}?" if close else f"known are {', '.join(BY_NAME)}"


def options_from(values: Mapping[str, Value]) -> ControllerOptions:
    """Return the options with `values`, by option; the others have their defaults."""
    return dataclasses.replace(_DEFAULTS, **values)  # type: ignore[arg-type]  # each was parsed by its flag
