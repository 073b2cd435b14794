"""The store of what is not delivered yet."""
