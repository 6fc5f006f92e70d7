# mypy: ignore-errors
# It runs in an environment of its own.
"""Verifies cards with the official Python SDK. The argument is a file of JSON: keys (a key set) and cards. The last
line printed is JSON: for each card whether it is good, and whether it still is when its name has been changed."""

import json
import sys
from pathlib import Path

import jwt
from a2a.client.card_resolver import parse_agent_card
from a2a.utils.signing import InvalidSignaturesError, create_signature_verifier

GIVEN = json.loads(Path(sys.argv[1]).read_text())
KEYS = jwt.PyJWKSet.from_dict(GIVEN["keys"])
VERIFY = create_signature_verifier(lambda kid, jku: KEYS[kid], ["ES256"])


def is_good(card):
    try:
        VERIFY(parse_agent_card(card))
    except InvalidSignaturesError:
        return False
    return True


# Parsing changes a card.
TEXTS = [json.dumps(card) for card in GIVEN["cards"]]
print(json.dumps([[is_good(json.loads(text)), is_good({**json.loads(text), "name": "Else"})] for text in TEXTS]))
