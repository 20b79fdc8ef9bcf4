"""The omnara dialect: agents in workflows that call home, in the words of their SDK."""
