"""What the data pack is made of, and the command that builds it; nothing here runs while training."""
