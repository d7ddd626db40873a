"""Run folders: written whole, supervised while they run, remembered afterwards."""
