"""Lanes, retries and the dispatcher that owns them."""
