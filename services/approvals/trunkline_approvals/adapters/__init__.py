"""The world as the approvals service sees it, one file per vendor."""
