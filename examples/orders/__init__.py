"""An example service: orders are placed, paid and shipped."""
