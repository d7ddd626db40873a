"""The full screen: explore, decide, launch and watch, on the same functions as the command line."""
