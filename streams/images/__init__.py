"""Image fetching: http(s), files, blobs and object stores, within limits and allow-lists."""
