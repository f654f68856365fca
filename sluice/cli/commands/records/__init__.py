"""Commands that read what rollouts left behind: list, explain, report."""
