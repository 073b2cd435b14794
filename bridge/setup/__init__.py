"""What a new installation begins with: a routing file and files with its secrets."""
