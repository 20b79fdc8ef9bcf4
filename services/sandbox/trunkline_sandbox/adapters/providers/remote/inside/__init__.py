"""What is carried into a sandbox far away and runs there with nothing but Python's standard library."""
