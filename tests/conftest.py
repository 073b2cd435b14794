"""What holds for all tests."""

from hypothesis import settings

# How long an example takes says how busy the machine is; a test that never ends has a time limit of its own.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")
