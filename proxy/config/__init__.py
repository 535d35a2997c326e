"""What an operator can set: the model, and how it is read."""
