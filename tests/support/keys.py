"""A key that is the same in every run, for tests with parameters: pytest-xdist compares their names."""

from asya_gateway.domain.identity.key_text import NewKey

KEY = NewKey("O5F36U4p7aJa", "asya_O5F36U4p7aJa_Iqkv8DyUYq1lkHQQmg9YWuI3a51cFyxhkp0YR4ALAi50Zp2r1")
