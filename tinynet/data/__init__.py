"""Data: reading pictures and folders, downloads with checksums, batches, augmentation."""
