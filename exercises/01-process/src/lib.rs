//! Chapter 1's exercises: each is a program beside this directory.
