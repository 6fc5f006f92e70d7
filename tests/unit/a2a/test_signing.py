"""Signed cards (specification 1.0, section 8.4). joserfc, which is not used to sign, verifies."""

import json
from base64 import urlsafe_b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from joserfc import jws
from joserfc.errors import BadSignatureError
from joserfc.jwk import KeySet

from asya_gateway.protocols.a2a.canonical import canonical_forms
from asya_gateway.protocols.a2a.signing import CardSigner, UnusableKey

PURE: dict[str, Any] = {
    "name": "Üngar",
    "capabilities": {"streaming": True, "extendedAgentCard": False, "extensions": [{"uri": "urn:x"}]},
    "securityRequirements": [{"schemes": {"apiKey": {"list": []}}}],
    "skills": [{"id": "a", "description": "", "tags": ["t"]}],
}
MERGED = {**PURE, "url": "https://agent.example/a2a/", "security": [{"apiKey": []}]}


def of_spec() -> bytes:
    return (
        '{"capabilities":{"extendedAgentCard":false,"extensions":[{"uri":"urn:x"}],"streaming":true},'
        '"name":"Üngar","securityRequirements":[{"schemes":{"apiKey":{}}}],"skills":[{"description":"","id":"a","tags":["t"]}]}'
    ).encode()


def pem(key: Any, password: bytes = b"") -> bytes:
    hidden = BestAvailableEncryption(password) if password else NoEncryption()
    found: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, hidden)
    return found


def decoded(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_the_canonical_forms_are_that_of_the_text_of_the_specification_and_of_the_sdk() -> None:
    """8.4.1: 'Fields with default values MUST be omitted unless the field is marked as REQUIRED or has the optional
    keyword'; the Python SDK omits all that is empty."""
    served, spec, sdk = canonical_forms({**MERGED, "signatures": [{}]}, PURE)
    assert json.loads(served) == MERGED
    assert spec == of_spec()
    assert json.loads(sdk) == {
        "name": "Üngar",
        "capabilities": PURE["capabilities"],
        "skills": [{"id": "a", "tags": ["t"]}],
    }
    plain = {"name": "a", "capabilities": {"streaming": False}}
    assert canonical_forms(plain, plain) == [b'{"capabilities":{"streaming":false},"name":"a"}']


def test_canonical_json_sorts_members_by_utf_16_and_writes_numbers_as_ecmascript_does() -> None:
    """RFC 8785, section 3.2.3 and appendix B: the order of the example, and some of its numbers."""
    names = ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]
    [form] = canonical_forms(dict.fromkeys(reversed(names), 0), dict.fromkeys(names, 0))
    assert list(json.loads(form)) == names
    numbers = [333333333.33333329, 1e30, 4.50, 2e-3, 0.000000000000000000000000001]
    [form] = canonical_forms({"n": numbers}, {"n": numbers})
    assert form == b'{"n":[333333333.3333333,1e+30,4.5,0.002,1e-27]}'


def test_each_form_has_a_signature_that_verifies_with_the_published_key(tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    file.write_bytes(pem(ec.generate_private_key(ec.SECP256R1())))
    signer = CardSigner.from_file(str(file))
    card = signer.signed(MERGED, PURE, "https://agent.example/keys")
    keys = KeySet.import_key_set({"keys": [signer.public_key]})
    assert "d" not in signer.public_key
    # joserfc computes the thumbprint itself (RFC 7638).
    assert keys.keys[0].thumbprint() == signer.key_id
    forms = canonical_forms(MERGED, PURE)
    assert len(card["signatures"]) == len(forms) == 3
    for form, signature in zip(forms, card["signatures"], strict=True):
        header = json.loads(decoded(signature["protected"]))
        assert header == {"alg": "ES256", "kid": signer.key_id, "typ": "JOSE", "jku": "https://agent.example/keys"}
        compact = f"{signature['protected']}..{signature['signature']}"
        jws.deserialize_compact(compact, keys, payload=form, algorithms=["ES256"])
        with pytest.raises(BadSignatureError):
            jws.deserialize_compact(compact, keys, payload=form + b" ", algorithms=["ES256"])


def test_the_key_may_be_named(tmp_path: Path) -> None:
    assert CardSigner(ec.generate_private_key(ec.SECP256R1()), "mine").public_key["kid"] == "mine"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (lambda: b"", "expected a private key in PEM"),
        (lambda: b"-----BEGIN PRIVATE KEY-----\nno\n-----END PRIVATE KEY-----\n", "expected a private key in PEM"),
        (lambda: pem(rsa.generate_private_key(65537, 2048)), "expected an EC key"),
        (lambda: pem(ed25519.Ed25519PrivateKey.generate()), "expected an EC key"),
        (lambda: pem(ec.generate_private_key(ec.SECP384R1())), "expected an EC key"),
        (lambda: pem(ec.generate_private_key(ec.SECP256R1()), b"secret"), "without a password"),
    ],
    ids=["empty", "no key", "RSA", "Ed25519", "P-384", "password"],
)
def test_a_file_without_a_usable_key_is_refused(tmp_path: Path, content: Callable[[], bytes], expected: str) -> None:
    file = tmp_path / "key.pem"
    file.write_bytes(content())
    with pytest.raises(UnusableKey, match=expected):
        CardSigner.from_file(str(file))


def test_a_missing_file_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(UnusableKey, match="No such file"):
        CardSigner.from_file(str(tmp_path / "none.pem"))
