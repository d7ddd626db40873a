"""From records to batches: rendered, tokenised, laid out in rows, put together."""
