//! ablate: tells what each part of a program costs, and proves it.
#![doc = include_str!("../README.md")]

pub mod record;
