"""What people say to a simulated rollout: any command, sensible or not."""
