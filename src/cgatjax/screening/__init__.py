"""High-throughput screening of decorated prototypes or of a stream of structures."""
