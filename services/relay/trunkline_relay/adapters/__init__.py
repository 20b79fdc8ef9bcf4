"""Where views are kept, one file per store."""
