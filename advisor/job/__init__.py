"""The training program: runs from its own folder, imports nothing of advisor."""
