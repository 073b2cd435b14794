"""Status by MQTT: what a broker's other clients, and Home Assistant, see of this bridge."""
