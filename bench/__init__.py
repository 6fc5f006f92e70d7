"""The benchmark: what the gateway does, beside what the machine's own programs do in the same minute."""
