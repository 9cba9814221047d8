//! Chapter 3's exercises: each is a program beside this directory.
