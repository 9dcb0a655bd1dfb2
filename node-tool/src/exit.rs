//! What the exit codes of `n_vm create` mean (design: contract 3). error.rs decides which
//! failure has which; docs/contracts.md has the same table; the test here compares them.

/// Code and meaning, in the words of docs/contracts.md.
pub const CREATE: [(u8, &str); 8] = [
    (0, "the VM runs"),
    (1, "wrong parameters or settings"),
    (2, "the config could not be fetched"),
    (3, "the config is invalid, or a required key is missing"),
    (4, "the provision method is not supported"),
    (5, "virt-install failed, and the domain is not there"),
    (6, "libvirt did not answer: whether the VM runs is unknown"),
    (7, "refused: a domain of that name is not this VM"),
];

#[cfg(test)]
mod tests {
    use super::*;

    const CONTRACTS: &str = include_str!("../../docs/contracts.md");

    #[test]
    fn the_contracts_have_the_same_table() {
        let (_, after) = CONTRACTS.split_once("`n_vm create`:\n").unwrap();
        let rows = after
            .lines()
            .skip_while(|line| !line.starts_with('|'))
            .skip(2);
        let rows: Vec<_> = rows.take_while(|line| line.starts_with('|')).collect();
        let table: Vec<_> = CREATE
            .iter()
            .map(|(code, meaning)| format!("| {code} | {meaning} |"))
            .collect();
        assert_eq!(rows, table);
    }
}
