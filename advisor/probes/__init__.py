"""Small torch programs that run as child processes: a JSON document in, a JSON document out."""
