// SPDX-License-Identifier: Apache-2.0
//! Columns that line up.

use alloc::string::String;
use alloc::vec::Vec;

use crate::log::printable;

/// How a [`Table`] is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// COMPAT(runc): as `runc list` prints, which scripts cut into columns: each at least 12 wide with its gap, 3
    /// blanks between (Go's tabwriter with 12, 1, 3, ' ').
    Runc,
    /// insula's own: columns as wide as their widest cell, 2 blanks between; a bold heading if `bold`.
    Own {
        /// Whether the heading is set in bold, for terminals.
        bold: bool,
    },
}

/// Rows of cells under a heading.
#[derive(Debug, Clone, Default)]
pub struct Table {
    rows: Vec<Vec<String>>,
    /// Columns whose cells are set to the right, by index.
    right: Vec<usize>,
}

impl Table {
    /// A table with these headings.
    pub fn new(headings: &[&str]) -> Self {
        let mut table = Self::default();
        table.row(headings);
        table
    }

    /// Sets the cells of column `index` (from 0) to the right, for numbers. Only in [`Layout::Own`].
    #[must_use]
    pub fn right(mut self, index: usize) -> Self {
        self.right.push(index);
        self
    }

    /// Adds a row. Control characters are escaped: a name from a container must not steer the terminal.
    pub fn row<T: AsRef<str>>(&mut self, cells: &[T]) {
        self.rows.push(cells.iter().map(|cell| printable(cell.as_ref())).collect());
    }

    /// The text, with a newline after each row.
    pub fn render(&self, layout: Layout) -> String {
        let (least, gap) = match layout {
            Layout::Runc => (12, 3),
            Layout::Own { .. } => (0, 2),
        };
        let widths = self.widths(least, gap);
        let mut text = String::new();
        for (index, row) in self.rows.iter().enumerate() {
            let bold = index == 0 && layout == Layout::Own { bold: true };
            text.push_str(if bold { "\x1b[1m" } else { "" });
            for (column, cell) in row.iter().enumerate() {
                let blanks = widths[column].saturating_sub(cell.chars().count());
                let right = layout != Layout::Runc && self.right.contains(&column);
                let last = column + 1 == row.len();
                if right {
                    blank(&mut text, blanks - gap);
                }
                text.push_str(cell);
                if !last {
                    blank(&mut text, if right { gap } else { blanks });
                }
            }
            text.push_str(if bold { "\x1b[0m" } else { "" });
            text.push('\n');
        }
        text
    }

    /// Width of each column with its gap.
    fn widths(&self, least: usize, gap: usize) -> Vec<usize> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widest =
            |column: usize| self.rows.iter().filter_map(|row| row.get(column)).map(|c| c.chars().count()).max();
        (0..columns).map(|column| (widest(column).unwrap_or(0) + gap).max(least)).collect()
    }
}

fn blank(text: &mut String, count: usize) {
    text.extend(core::iter::repeat_n(' ', count));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_runc_list() {
        let mut table = Table::new(&["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]);
        table.row(&["a-long-container-id", "29987", "created", "/tmp/clib", "2026-11-23T19:27:10.365637456Z", "root"]);
        table.row(&["web1", "29972", "created", "/tmp/clib", "2026-11-23T19:27:10.342253274Z", "root"]);
        // What runc 1.1.5 printed for these two.
        assert_eq!(
            table.render(Layout::Runc),
            "ID                    PID         STATUS      BUNDLE      CREATED                          OWNER\n\
             a-long-container-id   29987       created     /tmp/clib   2026-11-23T19:27:10.365637456Z   root\n\
             web1                  29972       created     /tmp/clib   2026-11-23T19:27:10.342253274Z   root\n"
        );
    }

    #[test]
    fn runcs_empty_list() {
        let table = Table::new(&["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]);
        assert_eq!(table.render(Layout::Runc), "ID          PID         STATUS      BUNDLE      CREATED     OWNER\n");
    }

    #[test]
    fn own_layout() {
        let mut table = Table::new(&["KIND", "PROCS", "ID"]).right(1);
        table.row(&["net", "3", "4026531840"]);
        table.row(&["köln", "12345", "x"]);
        assert_eq!(
            table.render(Layout::Own { bold: false }),
            "KIND  PROCS  ID\nnet       3  4026531840\nköln  12345  x\n"
        );
        assert!(table.render(Layout::Own { bold: true }).starts_with("\x1b[1mKIND  PROCS  ID\x1b[0m\nnet "));
    }

    #[test]
    fn cells_cannot_steer_the_terminal() {
        let mut table = Table::new(&["A"]);
        table.row(&["x\x1b[2J\ny"]);
        assert_eq!(table.render(Layout::Own { bold: false }), "A\nx\\u{1b}[2J\\ny\n");
    }

    #[test]
    fn rows_may_be_short() {
        let mut table = Table::new(&["A", "B"]);
        table.row(&["longer"]);
        assert_eq!(table.render(Layout::Own { bold: false }), "A       B\nlonger\n");
    }
}
