"""The approvals service: questions that a person or the clock answers, once."""
