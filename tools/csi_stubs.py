"""Write the Python of `csi.proto`, the messages of the Container Storage Interface.

    python -m tools.csi_stubs            write src/pvbinder/csi/wire/csi_pb2.py and csi_pb2.pyi
    python -m tools.csi_stubs --check    exit 1 when what is there is not what would be written

The generator is grpcio-tools, whose version the lock names; the files say for which version of protobuf they are.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from grpc_tools import protoc

SOURCE = Path(__file__).parents[1] / "src"
PROTO = "pvbinder/csi/wire/csi.proto"
FILES = ("pvbinder/csi/wire/csi_pb2.py", "pvbinder/csi/wire/csi_pb2.pyi")


def generated() -> dict[str, str]:
    """Return the text of each file as it should be."""
    with tempfile.TemporaryDirectory() as made:
        well_known = str(Path(protoc.__file__).parent / "_proto")
        arguments = [f"-I{SOURCE}", f"-I{well_known}", f"--python_out={made}", f"--pyi_out={made}", PROTO]
        if protoc.main(["protoc", *arguments]) != 0:
            raise SystemExit(f"protoc refuses {PROTO}")
        return {name: (Path(made) / name).read_text() for name in FILES}


def main() -> None:
    """Write the files, or compare them."""
    files = generated()
    if "--check" in sys.argv[1:]:
        old = [name for name, text in files.items() if (SOURCE / name).read_text() != text]
        if old:
            raise SystemExit(f"not what csi.proto says: {', '.join(old)}; run python -m tools.csi_stubs")
        return
    for name, text in files.items():
        (SOURCE / name).write_text(text)


if __name__ == "__main__":
    main()
