//! Chapter 6's exercises: each is a program beside this directory.
