//! Operations without a cluster: verdicts, observations, and plans of several steps over an
//! engine that does as a test tells it.

mod errors;
mod observe;
mod plans;
mod verdict;
mod world;
