"""Readers of road files, one file a format."""
