"""The web console: follow rollouts, read the evidence, decide."""
