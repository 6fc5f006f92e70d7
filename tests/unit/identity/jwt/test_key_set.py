"""Which keys of an issuer's document are used (RFC 7517, 7518, 8037)."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OctKey, OKPKey

from asya_gateway.identity.jwt.key_set import MOST_KEYS, UnusableKeys, read_keys
from tests.support.issuers import document, fresh_key, key_for

GOOD = key_for("ES256").as_dict(private=False)
RSA = key_for("RS256").as_dict(private=False)
ED = key_for("EdDSA").as_dict(private=False)


def algorithms_of(entry: dict[str, Any]) -> set[str]:
    """What the entry may be used with, beside a good key that must stay."""
    found = read_keys(document(GOOD | {"kid": "good"}, entry))
    good, *others = found.keys
    assert good.kid == "good"
    assert found.skipped == 1 - len(others)
    return set(others[0].algorithms) if others else set()


@pytest.mark.parametrize(
    ("entry", "algorithms"),
    [
        (RSA, {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}),
        (RSA | {"alg": "RS256"}, {"RS256"}),
        (RSA | {"alg": "PS512", "use": "sig", "key_ops": ["verify"]}, {"PS512"}),
        (GOOD, {"ES256"}),
        (key_for("ES384").as_dict(private=False), {"ES384"}),
        (key_for("ES512").as_dict(private=False), {"ES512"}),
        (ED, {"EdDSA", "Ed25519"}),
        (ED | {"alg": "Ed25519"}, {"EdDSA", "Ed25519"}),
        (ED | {"alg": "EdDSA"}, {"EdDSA", "Ed25519"}),
        (GOOD | {"x5c": ["MII"], "x5t": "abc", "exp": 7, "nested": {"a": [1]}}, {"ES256"}),
    ],
)
def test_a_keys_kind_and_its_alg_say_what_it_may_be_used_with(entry: dict[str, Any], algorithms: set[str]) -> None:
    assert algorithms_of(entry) == algorithms


@pytest.mark.parametrize(
    "entry",
    [
        OctKey.generate_key(256).as_dict(),
        OKPKey.generate_key("X25519").as_dict(private=False),
        OKPKey.generate_key("Ed448").as_dict(private=False),
        ECKey.generate_key("secp256k1").as_dict(private=False),
        RSA | {"n": RSA["n"][: len(RSA["n"]) // 2]},
        key_for("ES256").as_dict(private=True),
        RSA | {"use": "enc"},
        RSA | {"use": 7},
        RSA | {"key_ops": ["encrypt"]},
        RSA | {"key_ops": "verify"},
        RSA | {"alg": "RSA-OAEP"},
        RSA | {"alg": "HS256"},
        RSA | {"alg": "none"},
        RSA | {"alg": ["RS256"]},
        RSA | {"n": "AQAB"},
        RSA | {"n": RSA["n"] * 5},
        RSA | {"n": "not base64!"},
        RSA | {"e": "A" * 300},
        RSA | {"e": "Ag"},
        RSA | {"e": None},
        RSA | {"kid": 7},
        RSA | {"kid": "x" * 2000},
        GOOD | {"crv": "P-384"},
        GOOD | {"crv": ["P-256"]},
        GOOD | {"x": GOOD["y"]},
        GOOD | {"x": ""},
        GOOD | {"alg": "ES384"},
        ED | {"x": "AA"},
        {},
        {"kty": "RSA"},
        {"kty": "EC", "crv": "P-256"},
        {"kty": {"a": 1}},
        {"kty": "AKP", "alg": "ML-DSA-44", "pub": "AA"},
    ],
)
def test_an_odd_key_is_left_out_and_the_others_stay(entry: dict[str, Any]) -> None:
    assert algorithms_of(entry) == set()


@pytest.mark.parametrize(
    "text",
    [b"", b"null", b"[]", b"{}", b'{"keys":{}}', b'{"keys":[]}', b'{"keys":[7,null,"a"]}', b"<html>", b"\xff",
     b'{"keys":' * 5000, b'{"keys":[{"kty":"oct","k":"AA"}]}'],
    ids=repr,
)  # fmt: skip
def test_a_document_without_usable_keys_is_refused(text: bytes) -> None:
    with pytest.raises(UnusableKeys):
        read_keys(text)


def test_at_most_a_hundred_keys_are_read() -> None:
    found = read_keys(document(*[GOOD | {"kid": str(n)} for n in range(MOST_KEYS + 20)]))
    assert len(found.keys) == 100
    assert found.skipped == 20
    assert found.knows("99")
    assert not found.knows("100")


def test_two_keys_with_one_kid_are_both_candidates() -> None:
    found = read_keys(document(fresh_key("a"), fresh_key("a"), fresh_key("b")))
    assert len(found.candidates("a", "ES256")) == 2
    assert not found.candidates("a", "RS256")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=50),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=40)
@given(
    st.sampled_from([GOOD, RSA, ED]),
    st.dictionaries(
        st.sampled_from(["kty", "crv", "x", "y", "n", "e", "kid", "alg", "use", "key_ops"]), JSON, min_size=1
    ),
)
def test_no_entry_takes_the_good_keys_away(base: dict[str, Any], changes: dict[str, Any]) -> None:
    found = read_keys(json.dumps({"keys": [base | changes, GOOD | {"kid": "good"}]}).encode())
    assert found.knows("good")
