"""What a finished run leaves: the model with its card, the result and its verdict."""
