"""The whole chain on one machine, to be looked at: relay, broker, bridge and sample webhooks."""
