//! Tables for people: a head line, columns two spaces apart, the last one not padded.

/// A column: its title and how its cells are set.
#[derive(Debug, Clone, Copy)]
pub struct Column<'a> {
    title: &'a str,
    right: bool,
    width: usize,
}

impl<'a> Column<'a> {
    /// A column of text, set left.
    #[must_use]
    pub const fn text(title: &'a str) -> Self {
        let (right, width) = (false, 0);
        Self {
            title,
            right,
            width,
        }
    }

    /// A column of numbers, set right.
    #[must_use]
    pub const fn number(title: &'a str) -> Self {
        let (right, width) = (true, 0);
        Self {
            title,
            right,
            width,
        }
    }

    /// At least this wide, so that tables of different content look alike.
    #[must_use]
    pub const fn at_least(self, width: usize) -> Self {
        Self { width, ..self }
    }

    fn cell(&self, text: &str, width: usize) -> String {
        if self.right {
            format!("{text:>width$}")
        } else {
            format!("{text:<width$}")
        }
    }
}

/// The table as text. A row with fewer cells than columns ends early.
#[must_use]
pub fn table(columns: &[Column<'_>], rows: &[Vec<String>]) -> String {
    let widths: Vec<_> = (0..columns.len())
        .map(|at| width(columns, rows, at))
        .collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let cells = cells.zip(columns).zip(&widths);
        let cells: Vec<_> = cells
            .map(|((text, column), width)| column.cell(text, *width))
            .collect();
        cells.join("  ").trim_end().to_owned() + "\n"
    };
    let head = line(&mut columns.iter().map(|column| column.title));
    let rows = rows
        .iter()
        .map(|row| line(&mut row.iter().map(String::as_str)));
    head + &rows.collect::<String>()
}

fn width(columns: &[Column<'_>], rows: &[Vec<String>], at: usize) -> usize {
    let cells = rows.iter().filter_map(|row| row.get(at));
    let widest = cells.map(|cell| cell.chars().count()).max().unwrap_or(0);
    widest
        .max(columns[at].title.chars().count())
        .max(columns[at].width)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let columns = [
            Column::text("NAME"),
            Column::number("VCPUS"),
            Column::text("STATE").at_least(7),
            Column::text("VNC"),
        ];
        let row = |cells: [&str; 4]| cells.map(str::to_owned).to_vec();
        let rows = [
            row(["äöüßé", "2", "off", "-"]),
            row(["b", "128", "running", ""]),
        ];
        assert_eq!(
            table(&columns, &rows),
            "NAME   VCPUS  STATE    VNC\n\
             äöüßé      2  off      -\n\
             b        128  running\n"
        );
        assert_eq!(table(&columns[..2], &[]), "NAME  VCPUS\n");
    }
}
