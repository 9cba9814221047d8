//! Chapter 7's exercises: each is a program beside this directory.
