"""Procedural towns."""
