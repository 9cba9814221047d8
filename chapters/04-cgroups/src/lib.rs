//! Chapter 4: control groups. Limits, usage, pressure and the freezer
