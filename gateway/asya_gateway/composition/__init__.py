"""The composition root: the only package that knows every part of the gateway. It connects them."""
