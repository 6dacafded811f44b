"""Suites and reports (floor 7)."""
