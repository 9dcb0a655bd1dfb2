//! Which cases of a matrix are tried: all of them under `HPS_TORTURE=1`, one of twenty under
//! `HPS_TORTURE=20`, else a fixed share, the same in every run, spread over all of it.

/// Chooses among the cases of one matrix.
pub(crate) struct Sample {
    every: u64,
    seen: u64,
}

impl Sample {
    /// One case of `every`; which ones depends on the matrix's name alone.
    pub(crate) fn one_of(every: u64, name: &str) -> Self {
        let torture = std::env::var("HPS_TORTURE").ok();
        let every = torture.map_or(every, |text| text.parse().unwrap());
        let start = name.bytes().map(u64::from).sum::<u64>();
        Self { every, seen: start }
    }

    /// Whether the next case is one of them.
    pub(crate) fn takes(&mut self) -> bool {
        self.seen += 1;
        self.seen.is_multiple_of(self.every)
    }
}
