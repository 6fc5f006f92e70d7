"""Files of a handler that live in a store: paths below a mount go to a connector beside the worker, over HTTP."""
