"""The composition root: the one room that knows every part of the gateway and connects them."""
