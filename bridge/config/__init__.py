"""The routing file: from text to a validated `Config`."""
