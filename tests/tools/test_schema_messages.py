"""The numbers of protobuf fields are read from `.proto` files: names as in JSON, messages that JSON shows in place."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tools.schema.messages import Declared, Writer, read_protos, render

CORE = """
package k8s.io.api.core.v1;

// Thing says what message it is = 7;
message Thing {
  // metadata of it
  optional .k8s.io.apimachinery.pkg.apis.meta.v1.ObjectMeta metadata = 1;

  optional ThingSource source = 2;

  repeated string accessModes = 3;

  map<string, .k8s.io.apimachinery.pkg.api.resource.Quantity> capacity = 4;

  optional string uID = 5;

  optional ExtraValue extra = 6;

  optional string ofALaterVersion = 7;
}

message ThingSource {
  optional int32 port = 1;
}

message ExtraValue {
  repeated string items = 1;
}
"""
META = """
package k8s.io.apimachinery.pkg.apis.meta.v1;

message ObjectMeta {
  optional string name = 1;
  optional Time creationTimestamp = 8;
}

message Time {
  optional int64 seconds = 1;
}
"""
TYPES: dict[str, Any] = {
    "io.k8s.api.core.v1.Thing": {
        "f": {name: {} for name in ("metadata", "port", "accessModes", "capacity", "uid", "extra")}
    },
    "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta": {"f": {"name": {}, "creationTimestamp": {}}},
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for folder, text in (("k8s.io/api/core/v1", CORE), ("k8s.io/apimachinery/pkg/apis/meta/v1", META)):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "generated.proto").write_text(text)
    return tmp_path


def test_declarations_are_read(tree: Path) -> None:
    declared = read_protos(tree)
    assert declared["k8s.io.api.core.v1.ThingSource"] == [Declared("port", 1, "int32", "")]
    assert declared["k8s.io.api.core.v1.Thing"][2:4] == [
        Declared("accessModes", 3, "string", "[]"),
        Declared("capacity", 4, "k8s.io.apimachinery.pkg.api.resource.Quantity", "{}"),
    ]


def test_a_message_has_the_names_of_json_and_its_numbers(tree: Path) -> None:
    document = Writer(read_protos(tree), TYPES, {"v1 Thing": "k8s.io.api.core.v1.Thing"}).document()
    assert document["kinds"] == {"v1 Thing": "Thing"}
    assert document["messages"] == {
        "ObjectMeta": "name:string=1 creationTimestamp:time=8",
        "Thing": (
            "metadata:ObjectMeta=1 :<ThingSource=2 accessModes:[]string=3 capacity:{}quantity=4 uid:string=5 "
            "extra:items=6"
        ),
        "ThingSource": "port:int=1",
    }
    assert json.loads(render(document)) == document


def test_a_folder_that_is_missing_is_named(tree: Path) -> None:
    (tree / "k8s.io/apimachinery/pkg/apis/meta/v1/generated.proto").unlink()
    with pytest.raises(SystemExit, match=r"no \.proto file declares k8s\.io\.apimachinery.*ObjectMeta"):
        Writer(read_protos(tree), TYPES, {"v1 Thing": "k8s.io.api.core.v1.Thing"}).document()


def test_without_a_folder_it_says_what_it_needs() -> None:
    tool = Path(__file__).parents[2] / "tools/schema/messages.py"
    done = subprocess.run([sys.executable, tool, "/nowhere"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "error: name the folder that holds k8s.io/api and its siblings\n"
