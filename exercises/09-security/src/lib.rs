//! Chapter 9's exercises: each is a program beside this directory.
