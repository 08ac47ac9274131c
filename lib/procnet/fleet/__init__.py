"""A made-up fleet with known answers, for the demo, the tests and the benchmark."""
