"""What a model can do: losses, answers and scores, before and after."""
