"""Figures of the bridge beside what one might use instead: throughput, CPU, latency, memory, disk writes.

`python -m tests.bench --help` says how to run it; docs/performance.md says what is measured, and how.
"""
