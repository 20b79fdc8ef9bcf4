"""What the shop promises."""
