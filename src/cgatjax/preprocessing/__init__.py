"""Raw archives to training data: downloads, unpacking, convex hulls."""
