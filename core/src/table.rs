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
}

/// The table as text. A row with fewer cells than columns ends early.
#[must_use]
pub fn table(columns: &[Column<'_>], rows: &[Vec<String>]) -> String {
    let mut widths = Vec::with_capacity(columns.len());
    for (at, column) in columns.iter().enumerate() {
        let title = column.title.chars().count().max(column.width);
        let cells = rows.iter().filter_map(|row| row.get(at));
        let widest = cells.map(|cell| cell.chars().count()).max();
        widths.push(widest.unwrap_or(0).max(title));
    }
    let mut text = String::new();
    push_line(&mut text, columns, &widths, &|at| Some(columns[at].title));
    for row in rows {
        let cell = |at| row.get(at).map(String::as_str);
        push_line(&mut text, columns, &widths, &cell);
    }
    text
}

fn push_line<'c>(
    text: &mut String,
    columns: &[Column<'_>],
    widths: &[usize],
    cell: &dyn Fn(usize) -> Option<&'c str>,
) {
    let begin = text.len();
    for (at, (column, width)) in columns.iter().zip(widths).enumerate() {
        let Some(cell) = cell(at) else { break };
        let padding = width.saturating_sub(cell.chars().count());
        let (before, after) = if column.right {
            (padding, 0)
        } else {
            (0, padding)
        };
        let gap = if at > 0 { 2 } else { 0 };
        push_spaces(text, gap + before);
        text.push_str(cell);
        push_spaces(text, after);
    }
    text.truncate(begin + text[begin..].trim_end().len());
    text.push('\n');
}

fn push_spaces(text: &mut String, count: usize) {
    for _ in 0..count {
        text.push(' ');
    }
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
