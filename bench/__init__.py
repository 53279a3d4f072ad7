"""Measurements of the stack: `make bench` and `make load`. They are never part of the tests."""
