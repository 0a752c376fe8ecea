"""The typed client, as gateways and dashboards use it."""
