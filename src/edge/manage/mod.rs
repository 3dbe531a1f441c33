//! The resources around inference: one file each.
