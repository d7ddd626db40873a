"""The embedded small base model that lets every run be rehearsed on any machine."""
