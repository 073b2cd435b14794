"""How the bridge's figures grow: with routes, buckets, bodies, targets, and with what waits for a broker.

`python -m tests.bench.growth --help` says how to run it; docs/performance.md says what is measured, and how.
"""
