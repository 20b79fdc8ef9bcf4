"""The chain over everything that happened: what a record weighs, the book that is kept of it, and how both are compared."""
