"""The media types of bodies that are read."""

from __future__ import annotations

import pytest

from pvbinder.server.errors import ApiError
from pvbinder.server.objects.schema.media_types import media_type_of

READ = {
    "": "application/json",
    "application/json": "application/json",
    "APPLICATION/JSON ; charset=utf-8": "application/json",
    'application/yaml;a="b;c"': "application/yaml",
    "application/json;": "application/json",
}
REFUSED = ["text/yaml", "json", "*/*", "application/json;;q=1", "application/json; charset", "application/json;a=b;A=c"]


@pytest.mark.parametrize(("content_type", "media_type"), READ.items(), ids=READ.keys())
def test_what_is_read(content_type: str, media_type: str) -> None:
    assert media_type_of(content_type) == media_type


@pytest.mark.parametrize("content_type", REFUSED)
def test_what_is_not(content_type: str) -> None:
    with pytest.raises(ApiError, match="accepted media types include: application/json, application/yaml") as refused:
        media_type_of(content_type)
    assert refused.value.code == 415
