"""Crystal structures: files of many formats to `Crystal`."""
