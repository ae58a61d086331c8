"""A kubeconfig of a test's own: the cluster's, with the test's namespace as that of its context."""

from __future__ import annotations

from pathlib import Path

from pvbinder.files import read_file
from pvbinder.kube.config import FILE_BYTES_MAX
from pvbinder.model.errors import PvbinderError
from pvbinder.model.json import encode
from pvbinder.server.files.private_files import write_private
from pvbinder.server.objects.schema.yaml_text import parse_yaml


def with_namespace(kubeconfig: Path, namespace: str, directory: Path) -> Path:
    """Write the kubeconfig again (mode 0600) in `directory`, for `namespace`; return its path.

    Raises PvbinderError if it is none. Paths in it that are relative become absolute.
    """
    document = parse_yaml(read_file(kubeconfig, bytes_max=FILE_BYTES_MAX)).value
    if not isinstance(document, dict):
        raise PvbinderError(f"{kubeconfig} is no kubeconfig")
    for named in document.get("contexts") or []:
        if named.get("name") == document.get("current-context"):
            named["context"]["namespace"] = namespace
    for section, entry in (("clusters", "cluster"), ("users", "user")):
        for named in document.get(section) or []:
            for field, value in named[entry].items():
                if field in ("certificate-authority", "client-certificate", "client-key", "tokenFile"):
                    named[entry][field] = str(kubeconfig.absolute().parent / value)
    path = directory / f"{namespace}.kubeconfig"
    write_private(path, encode(document))
    return path
