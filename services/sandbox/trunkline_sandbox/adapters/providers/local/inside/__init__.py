"""What runs inside a sandbox; it imports nothing of ours once it is installed."""
