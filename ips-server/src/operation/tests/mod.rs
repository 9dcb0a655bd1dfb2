//! Operations without a cluster: verdicts, observations, and plans of several steps over an
//! engine that follows the script of a test.

mod errors;
mod observe;
mod plans;
mod verdict;
mod world;
