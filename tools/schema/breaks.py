"""Write where the lines of the models' texts break, from the OpenAPI document of a Kubernetes source tree.

    python tools/schema/breaks.py swagger.json            write tools/schema/breaks.json
    python tools/schema/breaks.py swagger.json --check    exit 1 when what is there is not what would be written

The models' texts were wrapped anew, so their line breaks are lost, and `generate.py` can only guess them. Kubernetes'
own `api/openapi-spec/swagger.json` has them. Nothing but positions is taken: what stands between two words of a text,
by the number of the word before it. Where the document has other words than the models, the guess stays.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))
from tools.schema import generate

Breaks = list[list[Any]]  # pairs of a word's number and of what follows it, where that isn't one space


def breaks_of(guess: str, exact: str) -> Breaks | None:
    """Return the breaks of `guess` as `exact` has them; None if the guess is right."""
    words, gaps = generate.split(guess)
    exact_words, exact_gaps = generate.split(exact)
    corrected = list(gaps)
    matcher = SequenceMatcher(None, words, exact_words, autojunk=False)
    for first, exact_first, size in matcher.get_matching_blocks():
        corrected[first : first + size - 1] = exact_gaps[exact_first : exact_first + size - 1]
    if corrected == gaps:
        return None
    return [[number, gap] for number, gap in enumerate(corrected[:-1]) if gap != " "]


def read_texts(document: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield each text of an OpenAPI document with the name of its schema and its field, "" for the schema's own."""
    for name, schema in document["definitions"].items():
        yield name, "", schema.get("description", "")
        for field, described in schema.get("properties", {}).items():
            yield name, field, described.get("description", "")


def corrections(models: dict[str, generate.Model], document: dict[str, Any]) -> dict[str, dict[str, Breaks]]:
    """Return the breaks of all texts whose guess is wrong, by schema and field."""
    guesses = {model.full_name: {"": model.description, **model.texts} for model in models.values()}
    found: dict[str, dict[str, Breaks]] = {}
    for name, field, exact in read_texts(document):
        guess = guesses.get(name, {}).get(field)
        breaks = breaks_of(guess, exact) if guess and re.search(r"\s\s|\n", exact + guess) else None
        if breaks is not None:
            found.setdefault(name, {})[field] = breaks
    return {name: dict(sorted(found[name].items())) for name in sorted(found)}


def main() -> int:
    """Write the document, or with ``--check`` compare."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--check"]
    if len(arguments) != 1 or not Path(arguments[0]).is_file():
        print("error: name the file api/openapi-spec/swagger.json of Kubernetes", file=sys.stderr)
        return 2
    text = generate.render(corrections(generate.read_models(), json.loads(Path(arguments[0]).read_text())))
    if "--check" in sys.argv[1:]:
        return int(generate.BREAKS.read_text() != text)
    generate.BREAKS.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
