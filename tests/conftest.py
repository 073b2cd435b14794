"""What holds for all tests."""

import signal

from hypothesis import settings

# How long an example takes says how busy the machine is; a test that never ends has a time limit of its own.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")

# A shell has what runs in the background ignore Ctrl-C, and the programs under test would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
