"""From the first step to the last: the loop, its memory, its accounts and its clocks."""
