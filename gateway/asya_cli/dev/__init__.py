"""`asya dev`: gateway, database and handlers on one machine, in one command."""
