"""A run as OpenTelemetry has it: metrics and log records in OTLP, to be sent by whoever exports them."""
