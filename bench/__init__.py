"""Measures Trunkline against the floor and against its own targets: `python -m bench`."""
