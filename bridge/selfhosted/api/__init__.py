"""The HTTP interface, in the shape of the service's REST API."""
