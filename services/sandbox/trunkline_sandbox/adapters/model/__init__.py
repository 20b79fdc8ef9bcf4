"""The model gateway: one door per job, behind it the model APIs, and beside it what they cost."""
