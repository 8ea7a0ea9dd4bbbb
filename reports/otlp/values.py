"""Values, attributes and the resource of OTLP messages. Needs the package opentelemetry-proto."""

from collections.abc import Iterable, Mapping
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import (
    AnyValue,
    ArrayValue,
    InstrumentationScope,
    KeyValue,
    KeyValueList,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from reports.otlp.names import PREFIX
from reports.rundir.reader import Run


def any_value(value: Any) -> AnyValue:
    """A value of JSON."""
    made = AnyValue()
    match value:
        case bool():
            made.bool_value = value
        case int() if -(2**63) <= value < 2**63:
            made.int_value = value
        case int() | float():
            made.double_value = value
        case list() | tuple():
            made.array_value.CopyFrom(ArrayValue(values=map(any_value, value)))
        case dict():
            pairs = [KeyValue(key=str(key), value=any_value(each)) for key, each in value.items()]
            made.kvlist_value.CopyFrom(KeyValueList(values=pairs))
        case None:
            pass
        case _:
            made.string_value = str(value)
    return made


def attributes(named: Mapping[str, Any]) -> Iterable[KeyValue]:
    """Attributes of this program, without those that have no value."""
    return [
        KeyValue(key=f"{PREFIX}.{name}", value=any_value(value))
        for name, value in named.items()
        if value is not None
    ]


def scope() -> InstrumentationScope:
    """Who made the messages."""
    return InstrumentationScope(name=PREFIX)


def resource(run: Run) -> Resource:
    """What a run is: each has a resource of its own."""
    info = run.info
    own = {
        "scenario": info.scenario.get("name"),
        "arm": info.arm,
        "round": info.round,
        "seed": info.seed,
        "control": info.control,
        "predicted": info.predicted,
    }
    service = {
        "service.name": "reconnect-storm",
        "service.version": info.versions.get("reconnect-storm"),
        "service.instance.id": run.directory.resolve().name,
    }
    known = [KeyValue(key=key, value=any_value(value)) for key, value in service.items() if value]
    return Resource(attributes=[*known, *attributes(own)])
