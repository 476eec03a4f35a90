"""What the commands of the workspace call."""
