"""Agents: programs of yours that take tasks from the bus, with everything around the work itself done for them."""
