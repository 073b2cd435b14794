"""What a webhook becomes: match, render, decide. Pure: no I/O, no clock."""
