"""The console: the status page, health and metrics. It looks at the path and never sits in it."""
