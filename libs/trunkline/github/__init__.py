"""A client of GitHub's API: whoever speaks to GitHub does it on one of its accounts, at its pace, and hears its refusals in our words."""
