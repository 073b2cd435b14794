"""The relay's protocol, and the client that speaks it."""
