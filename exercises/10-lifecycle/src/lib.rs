//! Chapter 10's exercises: each is a program beside this directory.
