//! The worker from outside: its binary, its folders.

mod exec;
