"""The model that trains: from disk or from scratch, its tokenizer, what a method adds."""
