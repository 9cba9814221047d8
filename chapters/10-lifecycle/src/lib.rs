//! Chapter 10: lifecycle. The OCI runtime, the supervisor, logs, exec, attach, restart policies
