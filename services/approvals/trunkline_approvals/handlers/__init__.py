"""One file per thing that happens to an approval."""
