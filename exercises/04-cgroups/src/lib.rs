//! Chapter 4's exercises: each is a program beside this directory.
