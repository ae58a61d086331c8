"""Whether claims are cheaper to read from protobuf than from JSON: processor time of a claim, each way.

The bytes are those of 10 000 claims, each with the owners of its fields, as an API server answers: JSON, and the
message PersistentVolumeClaim that the library makes by the numbers of `server/objects/schema/data/messages.json`. What
counts is the time until the fields that the binder reads are there: by our own structs from JSON, by the library (in C)
from protobuf, and by the pure decoder that the embedded server has for requests.

    python -m bench.decode_claims [CLAIMS]
"""

from __future__ import annotations

import base64
import sys
import time
from collections.abc import Callable
from typing import Any

from bench.figure import report
from bench.large_caches import pair, with_owners
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.json_format import ParseDict

from pvbinder.model.json import encode
from pvbinder.model.objects import parse_claim
from pvbinder.server.objects import protobuf
from pvbinder.server.objects.protobuf_messages import messages

CLAIMS = 10_000
TURNS = 3
KIND = ("v1", "PersistentVolumeClaim")
SCALARS = {"string": 9, "int": 3, "bool": 8, "bytes": 12}  # the types of `FieldDescriptorProto`
MESSAGE, REPEATED, OPTIONAL = 11, 3, 1
SPECIAL = {"time": "Timestamp", "quantity": "Quantity", "fields": "Raw"}


class Descriptors:
    """Messages of our tables as the library wants them."""

    def __init__(self) -> None:
        self.file = descriptor_pb2.FileDescriptorProto(name="claims.proto", package="k8s", syntax="proto2")
        self._done: set[str] = set()

    def add(self, name: str) -> str:
        """Add a message and those in it; return its full name."""
        if name not in self._done:
            self._done.add(name)
            message = self.file.message_type.add(name=name.replace(".", "_"))
            for number, field in messages()[name].items():
                self._field(message, number, field.name, field.type)
        return f".k8s.{name.replace('.', '_')}"

    def _field(self, message: Any, number: int, name: str, type_: str) -> None:
        label = OPTIONAL
        if type_.startswith("[]"):
            label, type_ = REPEATED, type_[2:]
        elif type_.startswith("{}"):
            entry = message.nested_type.add(name=f"{name[0].upper()}{name[1:]}Entry")
            entry.options.map_entry = True
            self._field(entry, 1, "key", "string")
            self._field(entry, 2, "value", type_[2:])
            message.field.add(
                name=name,
                number=number,
                label=REPEATED,
                type=MESSAGE,
                type_name=f".k8s.{message.name}.{entry.name}",
            )
            return
        if type_ == "raw":
            type_ = "bytes"
        scalar = SCALARS.get(type_)
        made = message.field.add(name=name, number=number, label=label, type=scalar or MESSAGE, json_name=name)
        if scalar is None:
            made.type_name = self.add(SPECIAL.get(type_, type_))


def claim_message() -> Any:
    """Return the class of the message."""
    descriptors = Descriptors()
    full = descriptors.add(messages().kinds[KIND])
    pool = descriptor_pool.DescriptorPool()
    pool.Add(descriptors.file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(full[1:]))


def as_message(value: Any, name: str = "") -> Any:
    """Return the JSON of an object as that of its message: quantities, times and owned fields are messages there."""
    if name == "storage":
        return {"string": value}
    if name in ("creationTimestamp", "time"):
        return {"seconds": 1767225600}
    if name == "fieldsV1":
        return {"raw": base64.b64encode(encode(value)).decode()}
    if isinstance(value, dict):
        return {key: as_message(inner, key) for key, inner in value.items()}
    return [as_message(inner) for inner in value] if isinstance(value, list) else value


def fields_of_message(found: Any) -> tuple[object, ...]:
    """Read what a view of a claim has."""
    meta, spec, status = found.metadata, found.spec, found.status
    return (
        meta.name,
        meta.namespace,
        meta.uid,
        meta.resourceVersion,
        dict(meta.labels),
        dict(meta.annotations),
        tuple(meta.finalizers),
        meta.HasField("deletionTimestamp"),
        tuple(spec.accessModes),
        spec.resources.requests["storage"].string,
        spec.volumeName,
        spec.storageClassName,
        spec.volumeMode,
        status.phase,
        tuple(status.accessModes),
        status.capacity["storage"].string,
    )


def micros(read: Callable[[bytes], object], bodies: list[bytes]) -> float:
    """Return the processor time of one body, in µs: the least of some turns."""
    found = []
    for _ in range(TURNS):
        started = time.process_time()
        for body in bodies:
            read(body)
        found.append((time.process_time() - started) / len(bodies) * 1e6)
    return min(found)


def main() -> None:
    """Print the figure."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else CLAIMS
    made = claim_message()
    as_json: list[bytes] = []
    as_protobuf: list[bytes] = []
    for number in range(count):
        claim = with_owners(pair(number)[1], "kubectl-create")
        claim["metadata"] |= {"resourceVersion": str(number + 1), "creationTimestamp": "2026-01-01T00:00:00Z"}
        del claim["kind"], claim["apiVersion"]
        as_json.append(encode(claim))
        as_protobuf.append(ParseDict(as_message(claim), made()).SerializeToString())
    envelope = b"k8s\0\n\x1b\n\x02v1\x12\x15PersistentVolumeClaim"
    enveloped = [envelope + b"\x12" + bytes((len(body) & 127 | 128, len(body) >> 7)) + body for body in as_protobuf]
    _, whole = protobuf.decode(enveloped[0], KIND[1], KIND[0])
    assert whole is not None
    assert whole["spec"]["volumeName"] == parse_claim(as_json[0]).volume_name
    by_json = micros(parse_claim, as_json)
    by_library = micros(lambda body: fields_of_message(made.FromString(body)), as_protobuf)
    parsed_only = micros(made.FromString, as_protobuf)
    by_table = micros(lambda body: protobuf.decode(body, KIND[1], KIND[0]), enveloped[: count // 10])
    report(
        "a claim read from protobuf, against JSON",
        by_library / by_json,
        "times",
        budget=1.0,
        better="lower",
        n=count,
        json_micros=round(by_json, 2),
        library_micros=round(by_library, 2),
        library_parse_only_micros=round(parsed_only, 2),
        pure_decoder_micros=round(by_table, 1),
        json_bytes=sum(map(len, as_json)) // count,
        protobuf_bytes=sum(map(len, as_protobuf)) // count,
    )


if __name__ == "__main__":
    main()
