"""Hypothesis strategies for the schemas that actors give for answers."""

from typing import Any

from hypothesis import strategies as st

WORDS = st.sampled_from(["red", "green", "blue", "x", ""])
TEXTS = st.text(alphabet="abc é", max_size=5)
NOTES = st.fixed_dictionaries({}, optional={"title": TEXTS, "description": TEXTS})


def _optional(**parts: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=parts)


def _joined(*parts: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.tuples(*parts).map(lambda found: {key: value for part in found for key, value in part.items()})


SMALL = st.integers(0, 3)
CHOICES = st.lists(WORDS, min_size=1, max_size=3, unique=True)
TITLED = st.lists(
    _joined(st.fixed_dictionaries({"const": WORDS}), _optional(title=TEXTS)),
    min_size=1,
    max_size=3,
    unique_by=lambda each: each["const"],
)
STRINGS = _joined(
    st.just({"type": "string"}),
    NOTES,
    _optional(
        minLength=SMALL,
        maxLength=st.integers(3, 6),
        format=st.sampled_from(["email", "uri", "date", "uuid"]),
        default=WORDS,
        pattern=st.just("^a*$"),
    ),
)
NUMBERS = _joined(
    st.sampled_from([{"type": "integer"}, {"type": "number"}]),
    NOTES,
    _optional(
        minimum=SMALL,
        maximum=st.integers(3, 9),
        default=SMALL | st.just(1.5) | st.just("no number"),
        multipleOf=st.just(2),
        exclusiveMinimum=st.just(0),
        enum=st.just([1, 2, 3]),
    ),
)
BOOLEANS = _joined(st.just({"type": "boolean"}), NOTES, _optional(default=st.booleans(), const=st.just(True)))
SINGLE = _joined(
    st.one_of(
        CHOICES.map(lambda values: {"type": "string", "enum": values}),
        CHOICES.map(lambda values: {"enum": values, "enumNames": [value.upper() for value in values]}),
        TITLED.map(lambda each: {"type": "string", "oneOf": each}),
        WORDS.map(lambda word: {"const": word}),
    ),
    NOTES,
    _optional(default=WORDS),
)
SEVERAL = _joined(
    st.just({"type": "array"}),
    st.one_of(
        CHOICES.map(lambda values: {"items": {"type": "string", "enum": values}}),
        TITLED.map(lambda each: {"items": {"anyOf": each}}),
    ),
    NOTES,
    _optional(minItems=st.integers(0, 1), maxItems=st.integers(1, 3), default=st.lists(WORDS, max_size=2)),
)
OTHERS = st.sampled_from(
    [
        True,
        {},
        {"type": "object", "properties": {"a": {"type": "string"}}},
        {"type": "array", "items": {"type": "integer"}},
        {"type": ["string", "integer"]},
        {"not": {"type": "string"}},
        {"$ref": "#/$defs/color"},
        {"$ref": "#/$defs/missing"},
        {"$ref": "#"},
        {"anyOf": [{"type": "string", "maxLength": 3}, {"type": "null"}]},
        {"anyOf": [{"$ref": "#/$defs/color"}, {"type": "null"}], "default": None},
        {"type": ["integer", "null"]},
        {"type": "string", "minLength": 2.0},
        {"enum": [True]},
        {"enum": [1, "a"]},
        {"enum": ["a", None]},
    ]
)
FIELDS = st.one_of(STRINGS, NUMBERS, BOOLEANS, SINGLE, SEVERAL, OTHERS)
DEFS = {"color": {"type": "string", "enum": ["red", "green"], "title": "Color"}}


@st.composite
def answer_schemas(draw: st.DrawFn) -> dict[str, Any]:
    """An object of fields: flat ones, and some that no form can show."""
    names = draw(st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=4, unique=True))
    schema: dict[str, Any] = {"type": "object", "properties": {name: draw(FIELDS) for name in names}, "$defs": DEFS}
    if draw(st.booleans()):
        schema["required"] = draw(st.lists(st.sampled_from([*names, "e"]), max_size=2, unique=True))
    if draw(st.booleans()):
        schema |= draw(st.sampled_from([{"additionalProperties": False}, {"title": "T"}, {"minProperties": 1}]))
    if draw(st.booleans()):
        del schema["$defs"]
    return schema


@st.composite
def filled(draw: st.DrawFn, form: dict[str, Any]) -> dict[str, Any]:
    """What a person may enter in a form, as its fields allow."""
    answer = {}
    for name, field in form["properties"].items():
        if name in form.get("required", ()) or draw(st.booleans()):
            answer[name] = draw(_entered(field))
    return answer


def _entered(field: dict[str, Any]) -> st.SearchStrategy[Any]:
    match field["type"]:
        case "boolean":
            return st.booleans()
        case "integer":
            return st.integers(_ceil(field.get("minimum", -5)), field.get("maximum", 9))
        case "number":
            return st.floats(field.get("minimum", -5), field.get("maximum", 9))
        case "array":
            values = field["items"].get("enum") or [each["const"] for each in field["items"]["anyOf"]]
            least, most = field.get("minItems", 0), min(field.get("maxItems", 9), len(values))
            return st.lists(st.sampled_from(values), min_size=min(least, most), max_size=most, unique=True)
        case _:
            if values := field.get("enum") or [each["const"] for each in field.get("oneOf", ())]:
                return st.sampled_from(values)
            return st.text(alphabet="ab", min_size=field.get("minLength", 0), max_size=field.get("maxLength", 9))


def _ceil(number: float) -> int:
    return int(-(-number // 1))
