"""Which form an ``Accept`` header gets."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.server.serving import MAPS, config_map, serving

from pvbinder.server.api.negotiation import Form, check_shape, form_of_errors, negotiate
from pvbinder.server.errors import ApiError

META = "g=meta.k8s.io;v=v1"
YAML = Form("application/yaml")
CHOSEN = {
    "application/json;q=0.1, application/yaml;q=0.9": YAML,
    "application/json;q=0, application/yaml": YAML,
    "application/json;q=0": Form(),
    "application/json;q=x, application/yaml;q=0.1": YAML,
    "*/*, application/yaml;q=0.1": YAML,
    "text/html, application/*;q=0.8, */*;q=0.1": Form(),
    f"application/json;as=Table;{META}": Form(shape="table"),
    f"application/yaml;as=Table;{META}": Form("application/yaml", "table"),
    "application/json;as=Table;g=meta.k8s.io;v=v1beta1": Form(shape="table", version="v1beta1"),
    f"application/json;as=PartialObjectMetadataList;{META}": Form(shape="metadata-list"),
    f"application/json;as=Table;g=other;v=v1, application/json;as=PartialObjectMetadata;{META}": Form(shape="metadata"),
    "application/json;stream=watch": Form(),
    "application/vnd.kubernetes.protobuf, application/json;q=0.1": Form(),
}
REFUSED = [
    "application/json;as=Table",
    "application/json;v=v1",
    "application/json;stream=other",
    "application/json;sv=v2",
    "application/foo",
    "application/*",
    "application",
    ",",
]


@pytest.mark.parametrize(("accept", "form"), CHOSEN.items(), ids=CHOSEN.keys())
def test_the_form_that_is_chosen(accept: str, form: Form) -> None:
    assert negotiate(accept) == form


@pytest.mark.parametrize("accept", REFUSED)
def test_what_is_not_to_be_had(accept: str) -> None:
    with pytest.raises(ApiError) as refused:
        negotiate(accept)
    assert refused.value.code == 406
    assert form_of_errors(accept) == Form()


def test_errors_are_never_transformed() -> None:
    assert form_of_errors(f"application/json;as=Table;{META}, application/yaml") == YAML


def test_metadata_of_one_and_of_many() -> None:
    with pytest.raises(ApiError, match=r"but the requested object is a list \(\*core\.PodList\)"):
        check_shape(Form(shape="metadata"), lambda: "*core.Pod", is_list=True)
    with pytest.raises(ApiError, match=r"but the requested object is not a list \(\*core\.Pod\)"):
        check_shape(Form(shape="metadata-list"), lambda: "*core.Pod", is_list=False)
    check_shape(Form(shape="table"), lambda: "*core.Pod", is_list=True)


async def test_yaml_quotes_what_would_be_read_as_something_else(tmp_path: Path) -> None:
    data = {"a": "plain", "b": "y", "c": "1", "d": "", "e": "true", "f": "two\nlines\n", "g": "a: b", "h": "1:30"}
    async with serving(tmp_path) as server:
        await server.send("POST", MAPS, config_map("a", **data))
        answer = await server.answer("GET", f"{MAPS}/a", headers={"accept": "application/yaml"})
    whole = (answer.finish() if answer.finish is not None else answer.body).decode()
    assert whole.partition("kind:")[0] == (
        'apiVersion: v1\ndata:\n  a: plain\n  b: "y"\n  c: "1"\n  d: ""\n  e: "true"\n'
        "  f: |\n    two\n    lines\n  g: 'a: b'\n  h: \"1:30\"\n"
    )
