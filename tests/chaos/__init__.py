"""Faults on purpose: everything around a bridge breaks by a seed, and an oracle counts what arrives."""
