"""Sessions of clients, which any replica serves: what is stored of one, and the interfaces of the store."""
