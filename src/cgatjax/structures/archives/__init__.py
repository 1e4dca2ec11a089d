"""Public archives: data contracts, and readers of their JSON and Parquet files."""
