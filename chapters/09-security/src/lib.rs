//! Chapter 9: security. Capabilities, seccomp, masked paths, devices, rlimits, labels, id-mapped mounts
