//! Chapter 5's exercises: each is a program beside this directory.
