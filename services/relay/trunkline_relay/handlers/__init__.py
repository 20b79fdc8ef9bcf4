"""One file per thing that the relay does."""
