"""The one file that knows every part of the gateway and connects them."""
