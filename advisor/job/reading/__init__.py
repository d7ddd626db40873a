"""From files to records: each kind of file, each kind of row, and which records are held out."""
