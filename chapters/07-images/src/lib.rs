//! Chapter 7: images. The OCI layout, pulling from a registry, and run ubuntu sh
