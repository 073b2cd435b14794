"""Where deliveries go: MQTT brokers and HTTP services."""
