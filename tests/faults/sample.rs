//! Which cases of a matrix run: all of them under `HPS_TORTURE=1`, one of twenty under
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

    /// The chosen cases of a whole list, at least one: a matrix never passes without a case.
    pub(crate) fn of<T>(self, cases: Vec<T>) -> Vec<T> {
        self.split(cases).0
    }

    /// Runs the chosen cases and then, until one of them has met its fault, the others.
    pub(crate) fn run<T>(self, name: &str, cases: Vec<T>, mut case: impl FnMut(&T) -> bool) {
        let (chosen, others) = self.split(cases);
        let tried = chosen.len();
        let met = chosen.iter().filter(|one| case(one)).count();
        let is_met = met > 0 || others.iter().any(&mut case);
        assert!(is_met, "{name}: no case met its fault");
        println!("{name}: {tried} cases, {met} met their fault");
    }

    fn split<T>(mut self, cases: Vec<T>) -> (Vec<T>, Vec<T>) {
        assert!(!cases.is_empty(), "a matrix without a case");
        let (mut chosen, mut others) = (Vec::new(), Vec::new());
        for case in cases {
            let list = if self.takes() {
                &mut chosen
            } else {
                &mut others
            };
            list.push(case);
        }
        if chosen.is_empty() {
            let any = usize::try_from(self.seen).unwrap() % others.len();
            chosen.push(others.remove(any));
        }
        (chosen, others)
    }
}
