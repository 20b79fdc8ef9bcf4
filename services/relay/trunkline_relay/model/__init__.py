"""What the relay thinks: how events change views, where a page goes on, and how much fits on one."""
