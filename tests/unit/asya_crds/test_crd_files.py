"""The CustomResourceDefinitions and the pydantic models say the same."""

import types
import typing
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from asya_crds.async_actor import HANDLER_PATTERN, AsyncActorSpec
from asya_crds.flow import FlowName, FlowSpec
from asya_crds.naming import check_actor_name, check_flow_name

CRDS = Path(__file__).parents[3] / "crds"
OLDER = {"transport", "workload"}
"""Fields of older shapes, which the CRD names so that its rules can ask for them; models never see them."""


class SpecOfFlow(FlowSpec):
    """The spec of a Flow resource: a flow whose name may be given by metadata.name instead."""

    name: FlowName | None = None


def spec_schema(path: str) -> dict[str, Any]:
    version = yaml.safe_load((CRDS / path).read_text())["spec"]["versions"][0]
    spec: dict[str, Any] = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return spec


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """Every model that a value of this annotation may hold."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in typing.get_args(annotation) for model in models_in(part)]


def enum_in(annotation: Any) -> type[Enum] | None:
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return annotation
    return next((found for part in typing.get_args(annotation) if (found := enum_in(part))), None)


def kinds_of(annotation: Any) -> set[str]:
    """The JSON types that a field may have; empty where the model leaves it open."""
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, types.UnionType):
        return {kind for part in typing.get_args(annotation) for kind in kinds_of(part)}
    if origin is typing.Annotated:
        return kinds_of(typing.get_args(annotation)[0])
    plain = origin or annotation
    names = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array", dict: "object"}
    if isinstance(plain, type) and issubclass(plain, BaseModel):
        return {"object"}
    if isinstance(plain, type) and issubclass(plain, Enum):
        return {"string"}
    return {names[plain]} if plain in names else set()


def differences(model: type[BaseModel], schema: dict[str, Any], path: str = "spec") -> list[str]:
    """Every place where a model and a schema disagree."""
    found = []
    properties = schema.get("properties", {})
    fields: dict[str, FieldInfo] = {info.alias or name: info for name, info in model.model_fields.items()}
    found += [f"{path}.{name}: only in the model" for name in fields.keys() - properties.keys()]
    found += [f"{path}.{name}: only in the CRD" for name in properties.keys() - fields.keys() - OLDER]
    for name in fields.keys() & properties.keys():
        found += field_differences(fields[name], properties[name], f"{path}.{name}")
    required = {name for name, info in fields.items() if info.is_required()}
    stated = set(schema.get("required", []))
    if path != "spec" or "x-kubernetes-preserve-unknown-fields" not in schema:
        if required != stated:
            found.append(f"{path}: the model requires {sorted(required)}, the CRD {sorted(stated)}")
    else:
        rules = " ".join(rule["message"] for rule in schema["x-kubernetes-validations"])
        found += [f"{path}.{name}: no rule requires it" for name in required if f"spec.{name}: required" not in rules]
    return found


def field_differences(info: FieldInfo, schema: dict[str, Any], path: str) -> list[str]:
    found = []
    kinds, stated = kinds_of(info.annotation), schema.get("type")
    if stated and kinds and stated not in kinds:
        found.append(f"{path}: {sorted(kinds)} in the model, {stated} in the CRD")
    enum = enum_in(info.annotation)
    if enum and {item.value for item in enum} != set(schema.get("enum", [])):
        found.append(f"{path}: enum differs")
    limits = {"ge": "minimum", "min_length": "minLength", "max_length": "maxLength"}
    if stated == "array":
        limits |= {"min_length": "minItems", "max_length": "maxItems"}
    for constraint in info.metadata:
        for attribute, word in limits.items():
            value = getattr(constraint, attribute, None)
            if value is not None and schema.get(word) != value:
                found.append(f"{path}: {attribute} {value} in the model, {word} {schema.get(word)} in the CRD")
    for model in models_in(info.annotation):
        inner = schema.get("items") or schema.get("additionalProperties") or schema
        if "properties" in inner:
            found += differences(model, inner, path)
    return found


@pytest.mark.parametrize(
    ("model", "path"), [(SpecOfFlow, "flow.yaml"), (AsyncActorSpec, "async-actor/async-actor.yaml")]
)
def test_the_crd_and_the_model_have_the_same_fields(model: type[BaseModel], path: str) -> None:
    assert differences(model, spec_schema(path)) == []


def test_a_field_that_only_one_side_has_is_noticed() -> None:
    schema = spec_schema("flow.yaml")
    schema["properties"]["surprise"] = {"type": "string"}
    del schema["properties"]["scopes"]
    schema["required"] = []
    found = differences(SpecOfFlow, schema)
    assert "spec.surprise: only in the CRD" in found
    assert "spec.scopes: only in the model" in found
    assert any("requires" in line for line in found)


@pytest.mark.parametrize("name", ["a", "a-b", "0a", "x" * 63, "-a", "a-", "A", "a_b", "", "x" * 64])
def test_both_sides_agree_on_what_is_an_actor_name(name: str) -> None:
    assert accepts(spec_schema("flow.yaml")["properties"]["entrypoint"], name) is passes(check_actor_name, name)
    actor = spec_schema("async-actor/async-actor.yaml")["properties"]["actor"]
    assert accepts(actor, name) is passes(check_actor_name, name)


@pytest.mark.parametrize("name", ["a", "text_processor", "A.b-c", "x" * 64, "_a", "a_", "a b", "", "x" * 65])
def test_both_sides_agree_on_what_is_a_flow_name(name: str) -> None:
    assert accepts(spec_schema("flow.yaml")["properties"]["name"], name) is passes(check_flow_name, name)


def test_both_sides_agree_on_what_is_a_handler() -> None:
    rule = spec_schema("async-actor/async-actor.yaml")["properties"]["handler"]["x-kubernetes-validations"][0]["rule"]
    assert rule == f"self.matches('{HANDLER_PATTERN}')"


def accepts(schema: dict[str, Any], text: str) -> bool:
    import re

    pattern = re.search(r"matches\('(.*)'\)", schema["x-kubernetes-validations"][0]["rule"])
    assert pattern
    return schema["minLength"] <= len(text) <= schema["maxLength"] and re.search(pattern[1], text) is not None


def passes(check: typing.Callable[[str], str], text: str) -> bool:
    try:
        check(text)
    except ValueError:
        return False
    return True
