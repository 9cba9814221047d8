//! Chapter 2's exercises: each is a program beside this directory.
