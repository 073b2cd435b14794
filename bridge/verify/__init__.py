"""Whether a webhook comes from who it says: signatures, tokens, age and replays. Pure: no clock, no I/O."""
