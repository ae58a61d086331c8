"""Puts the one module that has the mistake in the place of the original, in this process and in those it starts."""

from __future__ import annotations

import os
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType

from tools.mutation.mistakes import with_mistake
from tools.mutation.rooms import ROOT, SOURCE

VARIABLE = "PVBINDER_MISTAKE"  # the file and the number of the mistake
SITE = Path(__file__).parent / "site"  # Python imports its `sitecustomize` when it starts


def put_in_place(file: str, number: int) -> None:
    """Have the mistake in what is imported from now on."""
    sys.meta_path.insert(0, _Changed(file, number))
    os.environ[VARIABLE] = f"{file}:{number}"
    os.environ["PYTHONPATH"] = os.pathsep.join([str(SITE), str(ROOT), os.environ.get("PYTHONPATH", "")])


def put_in_place_as_told() -> None:
    """Have the mistake that the process which started this one has."""
    file, _, number = os.environ.get(VARIABLE, "").partition(":")
    if file:
        sys.meta_path.insert(0, _Changed(file, int(number)))


class _Changed(MetaPathFinder):
    """Finds the one module that has the mistake."""

    def __init__(self, file: str, number: int) -> None:
        self._path = SOURCE / file
        self._number = number
        parts = ["pvbinder", *Path(file).with_suffix("").parts]
        self._name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    def find_spec(self, fullname: str, path: object = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if fullname != self._name:
            return None
        return spec_from_file_location(fullname, self._path, loader=_Loader(fullname, str(self._path), self._number))


class _Loader(SourceFileLoader):
    def __init__(self, fullname: str, path: str, number: int) -> None:
        super().__init__(fullname, path)
        self._number = number

    def get_code(self, fullname: str) -> CodeType:
        tree = with_mistake(Path(self.path).read_text(encoding="utf-8"), self._number)
        return compile(tree, self.path, "exec")
