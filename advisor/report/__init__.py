"""Any document as text for people."""
