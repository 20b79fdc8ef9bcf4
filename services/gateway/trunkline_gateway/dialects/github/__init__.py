"""The github dialect: what GitHub tells us of its own accord."""
